#include "tools/actions/mix_action.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "data/audio/audio_file.h"
#include "data/audio/loudness.h"
#include "data/audio/resample.h"
#include "data/effects/decibels.h"
#include "infer/mixdown/mixdown.h"
#include "infer/mixdown/refine.h"
#include "infer/mixdown/sheet_source.h"
#include "tools/actions/console.h"
#include "tools/actions/file_jobs.h"
#include "tools/actions/model_source.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"
#include "tools/base/stop.h"
#include "tools/base/table.h"

namespace melisma {
namespace mix_action {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::int64_t kRateWithoutModel = 44100;
constexpr double kUsualLufs = -16, kPeakDb = -1;

struct OptimizeRow {
  std::string_view name, summary;
};
constexpr std::array kOptimizations{
    OptimizeRow{"reference", "the reference's level, crest, width, balance and spectrum"}};

void check(const MixOptions& options) {
  if (options.stems.empty()) fail(ErrorKind::usage, "no stems are named");
  std::error_code absent;
  for (const auto& stem : options.stems) {
    if (fs::is_directory(stem)) fail(ErrorKind::usage, "'{}' is a folder; name its files", stem.string());
    for (const auto& written : {options.output, options.sheet}) {
      if (!written.empty() && fs::equivalent(written, stem, absent)) {
        fail(ErrorKind::usage, "'{}' is one of the stems; name another output", written.string());
      }
    }
  }
  if (fs::is_directory(options.output)) {
    fail(ErrorKind::usage, "'{}' is a folder; name the file to write", options.output.string());
  }
  for (const auto& written : {options.output, options.sheet}) {
    if (!written.empty()) require_writable(written);
  }
  if (options.optimize.empty()) return;
  (void)find_row(kOptimizations, options.optimize, "thing to optimise for", ErrorKind::usage);
  if (options.reference.empty()) {
    fail(ErrorKind::usage, "--optimize reference needs a song to sound like; name it with --reference");
  }
}

struct Peaks {
  double lufs = 0, peak = 0;
};

// Plays whatever makes the mix to a file of floats and measures it.
template <class Play>
Peaks play_to(const fs::path& file, std::int64_t rate, Play&& play) {
  AudioWriter writer(file, rate, 2, audio_format_named("wav32f"));
  LoudnessMeter meter(rate, 2, {.true_peak = false, .maxima = false});
  play([&](const Waveform& block) {
    writer.write(block);
    meter.add(block);
  });
  writer.finish();
  return {meter.integrated_lufs(), std::pow(10, meter.sample_peak_db() / 20)};
}

// The file of floats at another level, in the output's format.
void write_result(const fs::path& from, const fs::path& to, const AudioFormat& format, double gain_db) {
  constexpr std::int64_t kBlock = 1 << 16;
  write_file_atomically(to, [&](const fs::path& temporary) {
    auto reader = AudioReader::open(from);
    AudioWriter writer(temporary, reader.info().sample_rate_hz, 2, format);
    const auto factor = static_cast<float>(factor_of_db(gain_db));
    for (auto block = reader.read(kBlock); block.n_frames() > 0; block = reader.read(kBlock)) {
      for (float& sample : block.samples) sample *= factor;
      writer.write(block);
    }
    writer.finish();
  });
}

// What the master's output is turned by so that the mix is as loud as asked for, and does not pass full scale where
// nobody asked for more.
double output_gain_db(const MixOptions& options, const Peaks& peaks) {
  const bool is_asked = options.lufs != 0;
  if (!is_asked && !options.model.empty()) return 0;
  if (!std::isfinite(peaks.lufs)) return 0;
  const double gain_db = (is_asked ? options.lufs : kUsualLufs) - peaks.lufs;
  return is_asked ? gain_db : std::min(gain_db, kPeakDb - db_of_factor(std::max(peaks.peak, 1e-9)));
}

Waveform reference_of(const MixOptions& options, std::int64_t rate) {
  if (options.reference.empty()) return {};
  return with_context(fmt::format("reading the reference '{}'", options.reference.string()),
                      [&] { return resample(read_audio(options.reference), rate); });
}

struct Work {
  std::optional<LoadedMixModel> model;
  std::optional<StemStore> stems;
  MixSheet sheet;
  std::optional<Refined> refined;
};

void prepare_sheet(const MixOptions& options, Work& work, EventSink& events) {
  const auto reference = reference_of(options, work.stems->sample_rate_hz());
  work.sheet = work.model ? predicted_sheet(*work.model->model, work.model->config, *work.stems, reference)
                          : equal_loudness_sheet(*work.stems);
  if (!options.optimize.empty()) {
    const auto steps = static_cast<double>(options.steps);
    work.refined =
        refine_sheet(*work.stems, work.sheet, reference, {.steps = options.steps}, [&](std::int64_t done, double loss) {
          events.receive(ProgressEvent{"optimising", static_cast<double>(done), steps, "steps", {{"loss", loss}}});
        });
    work.sheet = work.refined->sheet;
  }
  for (const auto& change : options.set) change_sheet(work.sheet, change);
}

void open_work(const MixOptions& options, Work& work, EventSink& events) {
  if (!options.model.empty()) {
    work.model = with_context(fmt::format("opening the model '{}'", options.model), [&] {
      return load_mix_model(read_model(find_model(options.workspace, options.model, options.which).file));
    });
  }
  const bool has_console = !work.model || work.model->model->has_console();
  if (!has_console && (!options.set.empty() || !options.optimize.empty() || !options.sheet.empty())) {
    fail(ErrorKind::usage, "'{}' makes the mix itself: there are no parameters for --set, --sheet or --optimize",
         options.model);
  }
  const auto rate = work.model ? work.model->config.sample_rate_hz : kRateWithoutModel;
  const auto n_stems = static_cast<double>(options.stems.size());
  work.stems.emplace(options.stems, rate, [&](std::size_t done) {
    events.receive(ProgressEvent{"reading", static_cast<double>(done), n_stems, "stems", {}});
  });
  if (has_console) prepare_sheet(options, work, events);
}

Json report_of(const MixOptions& options, const Work& work, const Peaks& peaks, double gain_db, double elapsed) {
  const double seconds =
      static_cast<double>(work.stems->n_frames()) / static_cast<double>(work.stems->sample_rate_hz());
  const double peak = peaks.peak * factor_of_db(gain_db);
  Json report{{"output", options.output.string()},
              {"seconds", seconds},
              {"elapsed_seconds", elapsed},
              {"stems", options.stems.size()},
              {"channels", work.stems->channels().size()},
              {"lufs", std::isfinite(peaks.lufs) ? Json(peaks.lufs + gain_db) : Json(nullptr)},
              {"peak", peak}};
  if (work.refined) {
    report["optimised"] = {{"loss_before", work.refined->loss_before},
                           {"loss", work.refined->loss},
                           {"best_step", work.refined->best_step}};
  }
  if (!work.sheet.tracks.empty()) report["sheet"] = sheet_json(work.sheet);
  return report;
}

void print_report(const Json& report, const Work& work, bool is_clipped) {
  const double seconds = report["seconds"], elapsed = report["elapsed_seconds"], peak = report["peak"];
  fmt::print("{}: {} stems, {:.2f} s in {:.2f} s ({:.0f}x real time), {}, peak {:+.2f} dB{}\n",
             report["output"].get<std::string>(), report["stems"].get<std::size_t>(), seconds, elapsed,
             seconds / elapsed,
             report["lufs"].is_null() ? "silent" : fmt::format("{:.1f} LUFS", report["lufs"].get<double>()),
             db_of_factor(std::max(peak, 1e-9)), is_clipped ? "; the format cut what was past full scale" : "");
  if (work.refined) {
    fmt::print("  distance to the reference {:.4f} -> {:.4f}, best at step {}\n", work.refined->loss_before,
               work.refined->loss, work.refined->best_step);
  }
  if (!work.sheet.tracks.empty()) fmt::print("{}", sheet_text(work.sheet));
}

}  // namespace
}  // namespace mix_action

int mix(const MixOptions& options) {
  using namespace mix_action;
  install_stop_handlers();
  check(options);
  const auto& format = format_of_results(options.format, options.output, false);
  const auto started = std::chrono::steady_clock::now();
  const auto events = console_events();
  Work work;
  open_work(options, work, *events);
  const auto rate = work.stems->sample_rate_hz();
  const ScratchFolder folder;
  const auto total = static_cast<double>(work.stems->n_frames()) / static_cast<double>(rate);
  const auto progress = [&](std::int64_t frames) {
    events->receive(
        ProgressEvent{"mixing", static_cast<double>(frames) / static_cast<double>(rate), total, "s of audio", {}});
  };
  const auto peaks = play_to(folder / "mix.wav", rate, [&](const MixReceiver& receive) {
    if (work.sheet.tracks.empty()) {
      play_model(*work.stems, *work.model->model, receive, progress);
    } else {
      play_sheet(*work.stems, work.sheet, receive, progress);
    }
  });
  const double gain_db = output_gain_db(options, peaks);
  if (!work.sheet.tracks.empty()) work.sheet.master[kMasterOutput] += gain_db;
  write_result(folder / "mix.wav", options.output, format, gain_db);
  if (!options.sheet.empty()) write_file_atomically(options.sheet, json_text(sheet_json(work.sheet)) + "\n");
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  const auto report = report_of(options, work, peaks, gain_db, elapsed);
  if (options.json) {
    fmt::print("{}\n", json_text(report));
  } else {
    print_report(report, work, report["peak"].get<double>() > 1 && format.name != "wav32f");
  }
  return 0;
}

}  // namespace melisma
