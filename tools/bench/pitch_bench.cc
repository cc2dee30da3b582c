// `melisma bench pitch`: pYIN and YIN per core, and pYIN against librosa's in the same run.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>
#include <system_error>

#include "data/audio/audio_writer.h"
#include "data/signal/pyin.h"
#include "infer/features/content.h"
#include "tools/base/error.h"
#include "tools/base/seed.h"
#include "tools/bench/benchmarks.h"

namespace melisma {
namespace pitch_bench {
namespace {
namespace fs = std::filesystem;

constexpr double kSeconds = 30, kQuickSeconds = 6;
constexpr std::int64_t kRateHz = 16000;
constexpr const char* kPeer = MELISMA_PEERS_FOLDER "/pyin_librosa.py";

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

// CPU seconds of the cheapest of several runs.
template <class Action>
double cheapest(int repeats, Action action) {
  const auto now = [] {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  auto best = std::numeric_limits<double>::infinity();
  for (int run = 0; run < repeats; ++run) {
    const auto begin = now();
    action();
    best = std::min(best, now() - begin);
  }
  return best;
}

// What librosa makes of the wave; nothing where Python or the package is missing.
std::optional<nlohmann::json> ask_librosa(const std::vector<float>& wave, const std::string& python, int repeats) {
  auto folder = (fs::temp_directory_path() / "melisma-bench-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) fail(ErrorKind::device, "cannot make a folder in '{}'", folder);
  const auto file = fs::path(folder) / "voice.wav";
  write_audio(file, {.samples = wave, .n_channels = 1, .sample_rate_hz = kRateHz}, audio_format_named("wav32f"));
  const auto command = fmt::format("OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 '{}' '{}' '{}' {} 2>/dev/null", python, kPeer,
                                   file.string(), repeats);
  std::string answer;
  if (auto* pipe = ::popen(command.c_str(), "r"); pipe != nullptr) {
    std::array<char, 4096> block;
    for (std::size_t n; (n = std::fread(block.data(), 1, block.size(), pipe)) > 0;) answer.append(block.data(), n);
    ::pclose(pipe);
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  auto json = nlohmann::json::parse(answer, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  return json;
}

// Share of frames that librosa decides otherwise: other voicing, or more than one cent apart.
double disagreement(const std::vector<PyinFrame>& ours, const nlohmann::json& theirs) {
  double differing = 0;
  for (std::size_t t = 0; t < ours.size(); ++t) {
    const double hz = theirs["f0_hz"].at(t);
    const bool same_voicing = (hz > 0) == (ours[t].f0_hz > 0);
    differing += !same_voicing || (hz > 0 && 1200 * std::abs(std::log2(ours[t].f0_hz / hz)) > 1);
  }
  return differing / static_cast<double>(ours.size());
}

BenchmarkReport measure(const BenchmarkOptions& options) {
  const auto seconds = options.quick ? kQuickSeconds : kSeconds;
  const auto repeats = options.repeats > 0 ? options.repeats : 3;
  const auto wave = voice_like(seconds);
  std::vector<PyinFrame> frames;
  const auto pyin_seconds = cheapest(repeats, [&] { frames = pyin(wave, {}, 1); });
  const auto yin_seconds = cheapest(repeats, [&] { (void)yin(wave, {}, 1); });
  const auto content_seconds = cheapest(repeats, [&] { (void)extract_content(wave, ContentConfig{}, 1); });
  BenchmarkReport report{
      .setting = {fmt::format(
          "{:g} s of a synthetic voice at 16 kHz, 50 to 1100 Hz, 100 frames/s, one thread, cheapest "
          "of {} runs, CPU time",
          seconds, repeats)},
      .figures = {{.name = "pyin", .unit = "ms per s", .value = 1e3 * pyin_seconds / seconds},
                  {.name = "yin", .unit = "ms per s", .value = 1e3 * yin_seconds / seconds},
                  {.name = "cepstral content", .unit = "ms per s", .value = 1e3 * content_seconds / seconds}}};
  const auto librosa = ask_librosa(wave, options.python, repeats);
  if (!librosa) {
    report.setting.push_back(fmt::format(
        "not compared: '{}' lacks librosa; python3 -m venv peers && peers/bin/pip install librosa, then --python "
        "peers/bin/python",
        options.python));
    return report;
  }
  const double peer_seconds = (*librosa)["cpu_seconds"];
  report.figures.push_back({.name = "librosa pyin", .unit = "ms per s", .value = 1e3 * peer_seconds / seconds});
  report.figures.push_back(
      {.name = "librosa / pyin", .unit = "x", .value = peer_seconds / pyin_seconds, .at_least = 2});
  report.figures.push_back(
      {.name = "frames that differ", .unit = "%", .value = 100 * disagreement(frames, *librosa), .at_most = 1});
  return report;
}

}  // namespace
}  // namespace pitch_bench

BenchmarkReport bench_pitch(const BenchmarkOptions& options) { return pitch_bench::measure(options); }

}  // namespace melisma
