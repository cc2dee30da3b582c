// The report page of a made-up run: what must stand in it, and that a real browser draws it.
#include "experiments/report/report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>

#include "data/audio/audio_writer.h"
#include "experiments/report/chart.h"
#include "experiments/report/html.h"
#include "experiments/report/spectrogram.h"
#include "experiments/runs/run.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/metrics_file.h"

namespace melisma {
namespace {
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

Waveform sweep(double seconds) {
  Waveform wave{.n_channels = 1, .sample_rate_hz = 32000};
  double phase = 0;
  for (int i = 0; i < static_cast<int>(seconds * 32000); ++i) {
    phase += 2 * std::numbers::pi * (200 + .12 * i) / 32000;
    wave.samples.push_back(static_cast<float>(.4 * std::sin(phase)));
  }
  return wave;
}

Json summary(double mean, double low, double high) {
  return {{"mean", mean},      {"low", low},    {"high", high},
          {"n_recordings", 9}, {"n_clips", 30}, {"left_out", Json::object()}};
}

Json evaluation_json() {
  Json json{{"suite", "resynthesis"}, {"split", "test"},
            {"dataset", "anna"},      {"n_clips", 30},
            {"seconds", 95.5},        {"recordings", {"a.wav", "b.wav"}},
            {"noise_seed", 0},        {"command", "melisma evaluate anna --split test"}};
  json["model"] = {{"label", "anna, epoch 6"}, {"epoch", 6}};
  json["metrics"]["mel_distance"] = {{"summary", "L1 of log-mel"}, {"unit", "Np"}, {"better", "lower"}};
  json["metrics"]["si_sdr"] = {{"summary", "ratio"}, {"unit", "dB"}, {"better", "higher"}};
  Json model{{"name", "anna, epoch 6"}, {"summary", "the model"}, {"is_bound", false}};
  model["metrics"]["mel_distance"] = summary(.62, .58, .67);
  model["metrics"]["si_sdr"] = summary(-21.3, -24, -18.9);
  Json untrained{{"name", "untrained"}, {"summary", "fresh weights"}, {"is_bound", false}};
  untrained["metrics"]["mel_distance"] = summary(1.71, 1.6, 1.82);
  untrained["metrics"]["si_sdr"] = summary(-38, -40, -35);
  untrained["metrics"]["mel_distance"]["left_out"]["silent reference"] = 2;
  json["candidates"] = {model, untrained};
  json["differences"] = Json::array();
  json["differences"].push_back({{"mean", -1.09},
                                 {"low", -1.2},
                                 {"high", -.97},
                                 {"n_recordings", 9},
                                 {"metric", "mel_distance"},
                                 {"baseline", "untrained"},
                                 {"relative_percent", -63.7},
                                 {"p", .0039},
                                 {"p_holm", .0078},
                                 {"is_better", true}});
  json["test_openings"] = {{{"time_utc", "2026-01-02T03:04:05Z"},
                            {"command", "melisma evaluate anna --split test"},
                            {"model_hash", "0123456789abcdef"}}};
  json["examples"] = {{{"recording", "a.wav"},
                       {"sounds",
                        {{{"label", "recording"}, {"file", "test-6/01-0.flac"}},
                         {{"label", "anna, epoch 6"}, {"file", "test-6/01-1.flac"}}}}}};
  return json;
}

// A run of eight epochs that got worse after the sixth.
Run make_run(const fs::path& workspace, const std::string& name, const Json& from = nullptr) {
  auto run = Run::create(workspace, name, "0123abcd", "[model]\npreset = \"v2-40k\"\n",
                         {{"commit", "abc<1>"}, {"seeds", {{"run", 7}}}, {"from", from}});
  {
    MetricsFileSink log(run.metrics());
    for (int step = 1; step <= 80; ++step) {
      log.receive(ScalarsEvent{step * 10,
                               (step - 1) / 10 + 1,
                               "train",
                               {{"loss/mel", 20 + 30 * std::exp(-step / 15.0)},
                                {"loss/kl", 1 + std::exp(-step / 30.0)},
                                {"grad_norm/generator", 3 + std::sin(step)},
                                {"lr/generator", 1e-4}}});
      if (step % 10 == 0) {
        const double epoch = step / 10.0;
        log.receive(ScalarsEvent{step * 10,
                                 step / 10,
                                 "validation",
                                 {{"validation/mel_distance", .6 + .03 * (epoch - 6) * (epoch - 6)},
                                  {"validation/mr_stft", 1.5 + .02 * (epoch - 6) * (epoch - 6)}}});
      }
    }
    log.receive(DecisionEvent{800, 8, "overtraining", "stop", "no improvement since epoch 6"});
  }
  run.set_status({.state = "overtrained",
                  .reason = "no improvement since epoch 6",
                  .epoch = 8,
                  .step = 800,
                  .best_epoch = 6,
                  .best_score = .6,
                  .metric = "mel_distance"});
  fs::create_directories(run.evaluations() / "test-6");
  write_audio(run.evaluations() / "test-6" / "01-0.flac", sweep(1.5), "flac16");
  write_audio(run.evaluations() / "test-6" / "01-1.flac", sweep(1.4), "flac16");
  write_file_atomically(run.evaluations() / "test-6.json", evaluation_json().dump());
  fs::create_directories(workspace / "models");
  const Json quality{{"dtype", "int8"},
                     {"run", run.id()},
                     {"file_bytes", 14000000},
                     {"held_out", {{"waveform_snr_db", 31.2}, {"clips", 8}}},
                     {"layers", Json::array()}};
  write_file_atomically(workspace / "models" / (name + "-int8.quality.json"), quality.dump());
  return run;
}

}  // namespace

TEST(Report, HoldsCurvesNumbersSoundsExportsAndProvenance) {
  const testing::TemporaryFolder folder;
  make_run(folder.path(), "anna");
  write_audio(folder / "converted.wav", sweep(1), "wav16");
  const auto page = report_html(
      {.workspace = folder.path(), .runs = {"anna"}, .sounds = {"Bob as Anna=" + (folder / "converted.wav").string()}});
  for (const char* text :
       {"Held-out mel_distance by epoch", "best: epoch 6", "stopped: no improvement since epoch 6", "[0.58, 0.67]",
        "untrained", "-63.7 %", "2 clips left out (silent reference)", "opened once so far", "data:audio/flac;base64,",
        "data:image/png;base64,", "Bob as Anna", "waveform snr db", "abc&lt;1&gt;", "preset = &quot;v2-40k&quot;",
        "<h4>Training losses</h4>"}) {
    EXPECT_NE(page.find(text), std::string::npos) << text;
  }
  for (const char* text : {"http://", "https://", "<script", "abc<1>"}) {
    EXPECT_EQ(page.find(text), std::string::npos) << text;
  }
}

TEST(Report, SaysWhereSomebodyMayHaveHeardTheHeldOutRecordings) {
  const testing::TemporaryFolder folder;
  make_run(folder.path(), "fresh");
  make_run(folder.path(), "tuned", {{"path", "bases/f0G40k.pth"}});
  const std::string caveat = "this run began with &#39;f0G40k.pth&#39;: whoever trained those weights may have heard";
  const auto page = report_html({.workspace = folder.path(), .runs = {"tuned"}});
  EXPECT_NE(page.find("Of held-out scores: " + caveat), std::string::npos);
  EXPECT_NE(page.find("<b>Not certainly unheard</b>: " + caveat), std::string::npos);
  EXPECT_EQ(report_html({.workspace = folder.path(), .runs = {"fresh"}}).find("may have heard"), std::string::npos);
}

TEST(Report, ShowsRunsSideBySide) {
  const testing::TemporaryFolder folder;
  make_run(folder.path(), "anna");
  make_run(folder.path(), "bella");
  const auto page = report_html({.workspace = folder.path(), .runs = {"anna", "bella"}});
  EXPECT_NE(page.find("Held-out mel_distance of every run"), std::string::npos);
  EXPECT_NE(page.find("bella-0123abcd"), std::string::npos);
}

TEST(Report, ExportsAreThoseOfTheRunAndNotOfOneWhoseNameBeginsAlike) {
  const testing::TemporaryFolder folder;
  for (const auto* name : {"t1", "t10", "t1-b"}) make_run(folder.path(), name);
  const auto page = report_html({.workspace = folder.path(), .runs = {"t1"}});
  EXPECT_NE(page.find("t1-int8.quality.json"), std::string::npos);
  EXPECT_EQ(page.find("t10-int8.quality.json"), std::string::npos);
  EXPECT_EQ(page.find("t1-b-int8.quality.json"), std::string::npos);
}

TEST(Report, ARunWithoutAnythingSaysSo) {
  const testing::TemporaryFolder folder;
  Run::create(folder.path(), "fresh", "0123abcd", "", Json::object());
  const auto page = report_html({.workspace = folder.path(), .runs = {"fresh"}});
  EXPECT_NE(page.find("logged nothing yet"), std::string::npos);
  EXPECT_NE(page.find("Not evaluated yet"), std::string::npos);
}

TEST(Report, MistakesAreNamed) {
  const testing::TemporaryFolder folder;
  make_run(folder.path(), "anna");
  EXPECT_THROW((void)report_html({.workspace = folder.path(), .runs = {"ana"}}), Error);
  EXPECT_THROW((void)report_html({.workspace = folder.path(), .runs = {"anna"}, .sounds = {"no-label"}}), Error);
  EXPECT_THROW((void)report_html({.workspace = folder.path(), .runs = {"anna"}, .exports = {"absent.json"}}), Error);
}

TEST(Report, ABrowserDrawsIt) {
  if (std::system("command -v chromium >/dev/null 2>&1") != 0) GTEST_SKIP() << "no Chromium here";
  const testing::TemporaryFolder folder;
  make_run(folder.path(), "anna");
  write_report({.workspace = folder.path(), .runs = {"anna"}}, folder / "report.html");
  const char* kept = std::getenv("MELISMA_KEEP_SCREENSHOT");
  const auto picture = kept != nullptr ? fs::path(kept) : folder / "page.png";
  const auto command = "chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir=" +
                       (folder / "profile").string() + " --window-size=1100,3600 --screenshot=" + picture.string() +
                       " file://" + (folder / "report.html").string() + " >/dev/null 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_GT(fs::file_size(picture), 60'000u);  // a blank page of this size is under 25 kB
}

TEST(Chart, TicksAreRound) {
  EXPECT_EQ(round_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(round_ticks(-1, 1, 4), (std::vector<double>{-1, -.5, 0, .5, 1}));
}

TEST(Chart, GapsAndEmptySeriesAreFine) {
  Chart chart{.title = "loss", .x_label = "step"};
  EXPECT_NE(to_svg(chart).find("nothing recorded"), std::string::npos);
  chart.series.push_back({"loss", {{1, 2, "a"}, {2, std::nan(""), "b"}, {3, 2, "c"}}});
  const auto svg = to_svg(chart);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(std::count(svg.begin(), svg.end(), 'M'), 2);  // two strokes
}

TEST(Html, TextIsEscapedAndBytesAreEmbedded) {
  EXPECT_EQ(html_escaped("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
  EXPECT_EQ(data_uri("text/plain", "Man"), "data:text/plain;base64,TWFu");
  EXPECT_EQ(data_uri("text/plain", "Ma"), "data:text/plain;base64,TWE=");
  EXPECT_EQ(data_uri("text/plain", "M"), "data:text/plain;base64,TQ==");
}

TEST(Spectrogram, IsAPictureWhateverTheSound) {
  EXPECT_EQ(spectrogram_png(sweep(1)).substr(1, 3), "PNG");
  EXPECT_EQ(spectrogram_png({.samples = {0.F}, .n_channels = 1, .sample_rate_hz = 8000}).substr(1, 3), "PNG");
  EXPECT_EQ(spectrogram_png({.samples = {}, .n_channels = 1, .sample_rate_hz = 8000}).substr(1, 3), "PNG");
}

}  // namespace melisma
