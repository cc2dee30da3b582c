// `melisma bench pitch`: classical pitch methods per core, against librosa's, WORLD's and Praat's in the same run.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string_view>

#include "data/signal/pyin.h"
#include "infer/features/content.h"
#include "infer/features/pitch.h"
#include "tools/base/scratch_folder.h"
#include "tools/base/seed.h"
#include "tools/bench/benchmarks.h"
#include "tools/bench/peer.h"
#include "tools/bench/pitch_accuracy.h"

namespace melisma {
namespace pitch_bench {
namespace {

constexpr double kSeconds = 30, kQuickSeconds = 6;
constexpr double kSecondsOfAVoice = 8.8, kQuickSecondsOfAVoice = 2.2;  // of each that accuracy is measured on
constexpr std::int64_t kRateHz = 16000;

using Contour = std::vector<float>;  // Hz, 100 frames/s, 0 = unvoiced

// The bins pYIN decodes, which is what librosa gives.
Contour decoded_by_pyin(std::span<const float> wave) {
  Contour f0;
  for (const auto& frame : pyin(wave, {}, 1)) f0.push_back(frame.f0_hz);
  return f0;
}

struct Compared {
  std::string_view method, peer;
  double at_least;  // times the peer's speed
  Contour (*run)(std::span<const float> wave);
};
constexpr std::array kCompared{
    Compared{"pyin", "librosa", 2, decoded_by_pyin},
    Compared{"harvest", "pyworld", 2, [](auto wave) { return extract_pitch(wave, {.method = "harvest"}, 1); }},
    Compared{"dio", "pyworld", 1, [](auto wave) { return extract_pitch(wave, {.method = "dio"}, 1); }},
    Compared{"pm", "Praat", 1, [](auto wave) { return extract_pitch(wave, {.method = "pm"}, 1); }},
};

// Phrases of a gliding buzz with vibrato, breath noise, and pauses.
std::vector<float> voice_like(double seconds) {
  std::vector<float> wave(static_cast<std::size_t>(seconds * kRateHz));
  RandomSource random(seed_of(0, "bench pitch", {}));
  double phase = 0;
  for (std::size_t n = 0; n < wave.size(); ++n) {
    const auto t = static_cast<double>(n) / kRateHz;
    const auto f0 = 150 * std::exp2(0.6 * std::sin(0.9 * t) + 0.02 * std::sin(34 * t));
    phase += 2 * std::numbers::pi * f0 / kRateHz;
    double buzz = 0;
    for (int harmonic = 1; harmonic <= 10; ++harmonic) buzz += std::sin(harmonic * phase) / harmonic;
    const auto is_sung = std::fmod(t, 3.1) < 2.4;
    wave[n] = static_cast<float>((is_sung ? 0.2 * buzz : 0) + 0.005 * (2 * random.uniform() - 1));
  }
  return wave;
}

// What the peers make of the wave, an entry a method; empty where Python or all packages are missing.
nlohmann::json ask_peers(const std::vector<float>& wave, const std::string& python, int repeats) {
  const ScratchFolder folder;
  const auto file = folder / "voice.f32";
  write_samples(file, wave);
  return ask_peer(python, "pitch_peers.py", {file.string(), std::to_string(repeats)});
}

// Share of frames that the peer decides otherwise: other voicing, or more than one cent apart.
double disagreement(const Contour& ours, const nlohmann::json& theirs) {
  const auto n = std::min(ours.size(), theirs.size());  // some give one frame more than there are whole hops
  double differing = 0;
  for (std::size_t t = 0; t < n; ++t) {
    const double hz = theirs[t];
    const bool same_voicing = (hz > 0) == (ours[t] > 0);
    differing += !same_voicing || (hz > 0 && 1200 * std::abs(std::log2(ours[t] / hz)) > 1);
  }
  return differing / static_cast<double>(n);
}

BenchmarkReport measure(const BenchmarkOptions& options) {
  const auto seconds = options.quick ? kQuickSeconds : kSeconds;
  const auto repeats = options.repeats > 0 ? options.repeats : 3;
  const auto wave = voice_like(seconds);
  BenchmarkReport report{.setting = {fmt::format(
                             "{:g} s of a synthetic voice at 16 kHz, 50 to 1100 Hz, 100 frames/s, one thread, cheapest "
                             "of {} runs, CPU time",
                             seconds, repeats)}};
  const auto add_cost = [&](std::string name, double cpu_seconds) {
    report.figures.push_back({.name = std::move(name), .unit = "ms per s", .value = 1e3 * cpu_seconds / seconds});
  };
  std::array<Contour, kCompared.size()> contours;
  std::array<double, kCompared.size()> costs;
  for (std::size_t i = 0; i < kCompared.size(); ++i) {
    costs[i] = cheapest(repeats, [&] { contours[i] = kCompared[i].run(wave); });
    add_cost(std::string(kCompared[i].method), costs[i]);
  }
  add_cost("yin", cheapest(repeats, [&] { (void)yin(wave, {}, 1); }));
  add_cost("cepstral content", cheapest(repeats, [&] { (void)extract_content(wave, ContentConfig{}, 1); }));
  const auto peers = ask_peers(wave, options.python, repeats);
  for (std::size_t i = 0; i < kCompared.size(); ++i) {
    const auto& [method, peer, at_least, run] = kCompared[i];
    if (!peers.contains(method)) {
      report.setting.push_back(
          fmt::format("{} not compared: '{}' lacks the package of {}", method, options.python, peer));
      continue;
    }
    const auto& theirs = peers[std::string(method)];
    const double cpu_seconds = theirs["cpu_seconds"];
    add_cost(fmt::format("{} {}", peer, method), cpu_seconds);
    report.figures.push_back({.name = fmt::format("{} / {}", peer, method),
                              .unit = "x",
                              .value = cpu_seconds / costs[i],
                              .at_least = at_least});
    report.figures.push_back({.name = fmt::format("{}: frames that differ", method),
                              .unit = "%",
                              .value = 100 * disagreement(contours[i], theirs["f0_hz"]),
                              .at_most = 1});
  }
  if (peers.size() < kCompared.size()) {
    report.setting.push_back(
        "python3 -m venv peers && peers/bin/pip install librosa pyworld praat-parselmouth, then --python "
        "peers/bin/python");
  }
  report.tables = pitch_accuracy(options.quick ? kQuickSecondsOfAVoice : kSecondsOfAVoice, report.setting);
  return report;
}

}  // namespace
}  // namespace pitch_bench

BenchmarkReport bench_pitch(const BenchmarkOptions& options) { return pitch_bench::measure(options); }

}  // namespace melisma
