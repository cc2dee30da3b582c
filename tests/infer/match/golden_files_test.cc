// From file to file: every sample format and both previews as Matchering writes them (golden/matching, front_end).
#include <gtest/gtest.h>

#include <cmath>

#include "data/audio/audio_file.h"
#include "infer/match/match_explain.h"
#include "infer/match/match_input.h"
#include "infer/match/match_output.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

void write_recipe(const fs::path& path, const nlohmann::json& recipe) {
  Waveform wave{.n_channels = 2, .sample_rate_hz = recipe.at("sr")};
  for (const auto& channel : testing::render_recipe(recipe)) {
    for (const double sample : channel) wave.samples.push_back(static_cast<float>(sample));
  }
  write_audio(path, wave, "wav32f");
}

// One step of the format, in its own numbers: what Matchering rounds down is rounded to the nearest here.
void expect_file(const fs::path& path, const nlohmann::json& expected, const testing::GoldenTensor& slices) {
  const auto scope = ::testing::ScopedTrace(__FILE__, __LINE__, path.string());
  const auto wave = read_audio(path);
  ASSERT_EQ(wave.n_frames(), expected.at("n"));
  const bool is_float = slices.dtype == "F32";
  const double full = is_float ? 1 : slices.dtype == "I16" ? 32768 : 2147483648.0;
  const double step = is_float ? 1e-5 : slices.dtype == "I16" ? 1 : 256;
  std::vector<double> got;
  const auto first = expected.at("slice_start").get<std::size_t>();
  for (auto i = first; i < first + 200; ++i) {
    for (int channel = 0; channel < 2; ++channel) got.push_back(full * double{wave.channel(channel)[i]});
  }
  EXPECT_TRUE(testing::near_all(slices.values, got, 1.001 * step));
  double peak = 0;
  for (const float sample : wave.samples) peak = std::max(peak, full * std::abs(double{sample}));
  EXPECT_NEAR(peak, expected.at("peak").get<double>(), 1.001 * step);
}

TEST(GoldenMatchFiles, EveryFormatAndBothPreviewsAreWithinAStep) {
  const auto folder = testing::golden_folder("matching");
  if (!exists(folder)) GTEST_SKIP() << "no golden/matching";
  const auto fixture = testing::load_json(folder / "front_end.json").at("files");
  const auto tensors = testing::GoldenFile::load(folder / "front_end.safetensors");
  const testing::TemporaryFolder out;
  write_recipe(out / "target.wav", fixture.at("signals").at("target"));
  write_recipe(out / "reference.wav", fixture.at("signals").at("reference"));
  const MatchConfig config;
  const auto target = read_match_input(out / "target.wav", MatchRole::target, config);
  const auto reference = read_match_input(out / "reference.wav", MatchRole::reference, config);
  EXPECT_TRUE(target.remarks.empty() && reference.remarks.empty());
  const auto song = match_to(target.signal, reference_profile(reference.signal, config), config);

  struct File {
    const char *name, *tensor, *format;
    MatchFinish finish;
  };
  for (const auto& file : {File{"o16.wav", "file_o16_wav", "wav16", MatchFinish::limited},
                           File{"o24.wav", "file_o24_wav", "wav24", MatchFinish::limited},
                           File{"of.wav", "file_of_wav", "wav32f", MatchFinish::unlimited},
                           File{"on.flac", "file_on_flac", "flac16", MatchFinish::normalised}}) {
    (void)write_matched(out / file.name, song, file.finish, audio_format_named(file.format));
    expect_file(out / file.name, fixture.at("outputs").at(file.name), tensors.at(file.tensor));
  }
  (void)write_matched(out / "o32.wav", song, MatchFinish::limited, audio_format_named("wav32"));
  expect_file(out / "o32.wav", fixture.at("outputs").at("o24.wav"), tensors.at("file_o24_wav"));

  const auto window = preview_window(song, MatchFinish::limited);
  EXPECT_EQ(window.first, fixture.at("preview").at("start"));
  EXPECT_EQ(window.fade, fixture.at("preview").at("fade"));
  write_audio(out / "pr.wav", preview_of(song, MatchFinish::limited, window), "wav16");
  write_audio(out / "pt.wav", preview_of(target.signal, config.threshold, window), "wav16");
  for (const auto* name : {"pr", "pt"}) {
    const std::string file = std::string(name) + ".wav";
    expect_file(out / file, fixture.at("outputs").at(file), tensors.at("file_" + std::string(name) + "_wav"));
  }
}

TEST(MatchPreview, OfAShortSongIsAllOfIt) {
  MatchedSong song{.filtered = {std::vector<double>(44100, 0.5), std::vector<double>(44100, -0.5), 44100}};
  const auto window = preview_window(song, MatchFinish::unlimited);
  EXPECT_EQ(window.count, 44100);
  EXPECT_EQ(window.fade, 0);
  EXPECT_EQ(preview_of(song, MatchFinish::unlimited, window).channel(1)[0], -0.5F);
  EXPECT_EQ(preview_of(song.filtered, 0.25, window).channel(1)[0], -0.25F);
}

TEST(MatchExplanation, ThirdOctavesHoldTheirBinsAndNarrowOnesTheNearest) {
  std::vector<double> gains(2049, 1);
  for (std::size_t k = 400; k < 2049; ++k) gains[k] = 2;  // from 4306 Hz on
  const auto bands = third_octaves(gains, 44100);
  ASSERT_EQ(bands.size(), 30u);
  EXPECT_NEAR(bands.front().centre_hz, 24.8, 0.05);
  EXPECT_NEAR(bands.front().gain_db, 0, 1e-12);
  EXPECT_NEAR(bands.back().gain_db, 6.0206, 1e-4);
  gains.assign(2049, 0);
  EXPECT_EQ(third_octaves(gains, 44100).front().gain_db, -INFINITY);
}

}  // namespace
}  // namespace melisma
