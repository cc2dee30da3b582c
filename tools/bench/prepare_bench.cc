#include "tools/bench/prepare_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>

#include "data/audio/audio_file.h"
#include "data/audio/audio_writer.h"
#include "data/audio/fate.h"
#include "data/audio/iir.h"
#include "data/audio/normalise.h"
#include "data/audio/resample.h"
#include "data/audio/slicing.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/program.h"
#include "tools/base/scratch_folder.h"
#include "tools/base/seed.h"
#include "tools/bench/benchmarks.h"
#include "tools/bench/peer.h"

namespace melisma {
namespace fs = std::filesystem;
namespace prepare_bench {
namespace {

constexpr double kSeconds = 60, kQuickSeconds = 15;
constexpr std::int64_t kSourceRateHz = 44100, kRateHz = 40000;
constexpr int kRepeats = 3;
constexpr const char* kTwin = MELISMA_PEERS_FOLDER "/preprocess_twin.py";

// The cheapest of several runs of a program that makes `made` anew each time.
ProgramCost cheapest_run(int repeats, const std::vector<std::string>& words, const fs::path& output,
                         const fs::path& made) {
  ProgramCost best;
  best.cpu_seconds = std::numeric_limits<double>::infinity();
  for (int run = 0; run < repeats; ++run) {
    fs::remove_all(made);
    const auto cost = run_to_end(words, output);
    if (cost.exit_code != 0) {
      fail(ErrorKind::internal, "'{}' ended with exit code {}: {}", words.front(), cost.exit_code, read_file(output));
    }
    if (cost.cpu_seconds < best.cpu_seconds) best = cost;
  }
  return best;
}

// This program preparing the scratch folder's recording on one thread.
ProgramCost run_prepare(const ScratchFolder& scratch, int repeats, bool has_content, bool has_pitch) {
  const auto workspace = scratch / "workspace";
  const std::vector<std::string> words{fs::read_symlink("/proc/self/exe").string(),
                                       "--workspace",
                                       workspace.string(),
                                       "--threads",
                                       "1",
                                       "prepare",
                                       (scratch / "recordings").string(),
                                       "--name",
                                       "bench",
                                       "--set",
                                       fmt::format("sample_rate_hz={}", kRateHz),
                                       "--set",
                                       fmt::format("with_content={}", has_content),
                                       "--set",
                                       fmt::format("with_pitch={}", has_pitch)};
  return cheapest_run(repeats, words, scratch / "melisma.log", workspace);
}

// Nothing if there is no Python with the packages.
std::optional<ProgramCost> run_twin(const ScratchFolder& scratch, const std::string& python, int repeats) {
  const auto output = scratch / "twin.log";
  const auto probe = run_to_end(
      {"/bin/sh", "-c", "command -v \"$0\" && \"$0\" -c 'import librosa, soxr, scipy, soundfile'", python}, output);
  if (probe.exit_code != 0 || !fs::exists(kTwin)) return std::nullopt;
  const auto made = scratch / "twin";
  const auto file = scratch / "recordings/speaker/speech.wav";
  return cheapest_run(repeats, {python, kTwin, file.string(), made.string(), std::to_string(kRateHz)}, output, made);
}

}  // namespace
}  // namespace prepare_bench

Waveform speech_like_recording(double seconds, std::int64_t sample_rate_hz) {
  constexpr double kPhraseSeconds = 4.2, kPauseSeconds = 0.7;
  Waveform wave{.samples = std::vector<float>(static_cast<std::size_t>(seconds * static_cast<double>(sample_rate_hz))),
                .n_channels = 1,
                .sample_rate_hz = sample_rate_hz};
  RandomSource random(seed_of(0, "bench speech", {}));
  double phase = 0;
  for (std::size_t n = 0; n < wave.samples.size(); ++n) {
    const double t = static_cast<double>(n) / static_cast<double>(sample_rate_hz);
    const double in_phrase = std::fmod(t, kPhraseSeconds + kPauseSeconds);
    const double noise = 2 * random.uniform() - 1;
    const double f0 = 140 * std::pow(2.0, 0.4 * std::sin(2 * std::numbers::pi * 0.3 * t));
    phase += 2 * std::numbers::pi * f0 / static_cast<double>(sample_rate_hz);
    double value = 1e-4 * noise;
    if (in_phrase < kPhraseSeconds) {
      const double syllable = 0.6 + 0.4 * std::sin(2 * std::numbers::pi * 3 * t);
      double tone = 0;
      for (int harmonic = 1; harmonic <= 8; ++harmonic) tone += std::sin(harmonic * phase) / harmonic;
      value += syllable * (0.25 * tone + 0.02 * noise);
    }
    wave.samples[n] = static_cast<float>(value);
  }
  return wave;
}

std::vector<StageCost> measure_prepare_stages(const fs::path& file, std::int64_t rate_hz, int repeats) {
  std::vector<StageCost> stages;
  Waveform wave;
  stages.push_back({"decode", cheapest(repeats, [&] { wave = read_audio_mono(file); })});
  stages.push_back({"judge (fate)", cheapest(repeats, [&] {
                      FateAssessor assessor({}, wave.sample_rate_hz, wave.n_channels);
                      assessor.add(wave);
                      (void)assessor.finish();
                    })});
  Waveform resampled;
  stages.push_back({"resample (very high quality)", cheapest(repeats, [&] { resampled = resample(wave, rate_hz); })});
  stages.push_back({"high-pass", cheapest(repeats, [&] {
                      auto copy = resampled.samples;
                      HighPass(rate_hz).process(copy);
                    })});
  std::vector<SampleRange> ranges;
  stages.push_back({"slice", cheapest(repeats, [&] {
                      Slicer slicer({}, rate_hz);
                      slicer.push(resampled.samples);
                      ranges = slicer.finish();
                    })});
  stages.push_back({"level", cheapest(repeats, [&] {
                      for (const auto& range : ranges) {
                        const auto piece = std::span(resampled.samples)
                                               .subspan(static_cast<std::size_t>(range.first),
                                                        static_cast<std::size_t>(range.length()));
                        std::vector<float> copy(piece.begin(), piece.end());
                        (void)normalise_level(std::span<float>(copy));
                      }
                    })});
  return stages;
}

BenchmarkReport bench_prepare(const BenchmarkOptions& options) {
  using namespace prepare_bench;
  const double seconds = options.quick ? kQuickSeconds : kSeconds;
  const int repeats = options.repeats > 0 ? options.repeats : kRepeats;
  ScratchFolder scratch;
  fs::create_directories(scratch / "recordings/speaker");
  const auto file = scratch / "recordings/speaker/speech.wav";
  write_audio(file, speech_like_recording(seconds, kSourceRateHz), "wav16");

  BenchmarkReport report;
  report.setting.push_back(fmt::format("{} s of generated {} Hz mono speech to {} Hz, one thread, cheapest of {} runs",
                                       seconds, kSourceRateHz, kRateHz, repeats));
  for (const auto& stage : measure_prepare_stages(file, kRateHz, repeats)) {
    report.figures.push_back({stage.name, "times real time", seconds / stage.cpu_seconds});
  }
  const auto plain = run_prepare(scratch, repeats, false, false);
  report.figures.push_back({"whole program, no features", "CPU s", plain.cpu_seconds});
  report.figures.push_back({"whole program, no features, peak memory", "MB", plain.peak_megabytes});
  report.figures.push_back({"whole program with content", "CPU s", run_prepare(scratch, 1, true, false).cpu_seconds});
  report.figures.push_back(
      {"whole program with content and pitch", "CPU s", run_prepare(scratch, 1, true, true).cpu_seconds});
  if (const auto twin = run_twin(scratch, options.python, repeats)) {
    report.setting.push_back("compared with the RVC tools' steps on librosa, soxr and scipy (tools/bench/peers)");
    report.figures.push_back({"the RVC tools' steps in Python", "CPU s", twin->cpu_seconds});
    report.figures.push_back({"Python's CPU seconds to ours", "ratio", twin->cpu_seconds / plain.cpu_seconds, 10});
  } else {
    report.setting.push_back(fmt::format(
        "not compared: '{}' lacks librosa, soxr, scipy or soundfile; python3 -m venv peers && peers/bin/pip install "
        "librosa soxr scipy soundfile, then --python peers/bin/python",
        options.python));
  }
  return report;
}

}  // namespace melisma
