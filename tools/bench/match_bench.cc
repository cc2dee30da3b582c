// `melisma bench match`: a song matched to a reference, against Matchering 2.0.6 in the same run.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "data/audio/audio_writer.h"
#include "data/sets/npy.h"
#include "infer/match/improve.h"
#include "infer/match/match_input.h"
#include "infer/match/match_output.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/program.h"
#include "tools/base/scratch_folder.h"
#include "tools/base/seed.h"
#include "tools/bench/benchmarks.h"
#include "tools/bench/peer.h"

namespace melisma {
namespace match_bench {
namespace {

constexpr std::int64_t kRateHz = 44100;

// Coloured noise that swells and dies away every few seconds, its side quieter than its mid; `loud` of full scale.
void write_song(const std::filesystem::path& path, std::int64_t seconds, double colour, double loud,
                std::int64_t number) {
  RandomSource random(seed_of(0, "bench match", {number}));
  const auto n = seconds * kRateHz;
  Waveform wave{std::vector<float>(static_cast<std::size_t>(2 * n)), 2, kRateHz};
  const auto left = wave.channel(0), right = wave.channel(1);
  double mid = 0, side = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const double t = static_cast<double>(i) / kRateHz, swell = loud * (0.55 + 0.45 * std::sin(0.7 * t));
    mid += colour * (2 * random.uniform() - 1 - mid);
    side += colour * (2 * random.uniform() - 1 - side);
    const double tone = 0.2 * std::sin(1382.3 * t);
    left[i] = static_cast<float>(std::clamp(swell * (mid + tone + 0.3 * side), -1.0, 1.0));
    right[i] = static_cast<float>(std::clamp(swell * (mid + tone - 0.3 * side), -1.0, 1.0));
  }
  write_audio(path, wave, "wav32f");
}

struct Cost {
  double cpu_seconds = std::numeric_limits<double>::infinity(), wall_seconds = cpu_seconds;
};

// From two signals in memory to the limited result in memory, as the peer: cheapest of several runs. `result` [2][n].
Cost time_ours(const StereoSignal& target, const StereoSignal& reference, int repeats, StereoSignal& result) {
  Cost cost;
  for (int run = 0; run < repeats; ++run) {
    auto song_target = target;
    result = {};
    const double cpu = cpu_seconds(), wall = wall_seconds();
    const auto song = match_to(std::move(song_target), reference_profile(reference, {}), {});
    result.left.resize(target.left.size());
    result.right.resize(target.right.size());
    song.render(MatchFinish::limited, 0, result.left, result.right);
    cost.cpu_seconds = std::min(cost.cpu_seconds, cpu_seconds() - cpu);
    cost.wall_seconds = std::min(cost.wall_seconds, wall_seconds() - wall);
  }
  return cost;
}

// theirs [n, 2].
double largest_difference(const StereoSignal& ours, const std::vector<double>& theirs) {
  if (theirs.size() != 2 * ours.left.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (std::size_t i = 0; i < ours.left.size(); ++i) {
    largest = std::max({largest, std::abs(ours.left[i] - theirs[2 * i]), std::abs(ours.right[i] - theirs[2 * i + 1])});
  }
  return largest;
}

// The same in the improved mode, which measures loudness and true peak in every round of its limiter.
Cost time_improved(const StereoSignal& target, const StereoSignal& reference, int repeats) {
  Cost cost;
  for (int run = 0; run < repeats; ++run) {
    auto song_target = target;
    auto result = target;
    const double cpu = cpu_seconds(), wall = wall_seconds();
    const std::vector<WeightedProfile> references{{profile_with_loudness(reference, {}), 1}};
    const auto goal = goal_of(references, ReferenceRule::weighted, kRateHz, MatchConfig{}.fft_size);
    const auto made = improve(std::move(song_target), goal, {}, {});
    made.song.render(MatchFinish::limited, 0, result.left, result.right);
    cost.cpu_seconds = std::min(cost.cpu_seconds, cpu_seconds() - cpu);
    cost.wall_seconds = std::min(cost.wall_seconds, wall_seconds() - wall);
  }
  return cost;
}

// The whole command from file to file: what the process had resident at most.
double peak_megabytes(const ScratchFolder& folder, const std::string& mode) {
  const auto output = folder / "match.log";
  const auto cost = run_to_end({std::filesystem::read_symlink("/proc/self/exe").string(), "--threads", "1", "match",
                                (folder / "target.wav").string(), "--reference", (folder / "reference.wav").string(),
                                "--set", "mode=" + mode, "-o", (folder / "ours.wav").string()},
                               output);
  if (cost.exit_code != 0)
    fail(ErrorKind::internal, "melisma match ended with {}: {}", cost.exit_code, read_file(output));
  return cost.peak_megabytes;
}

}  // namespace
}  // namespace match_bench

BenchmarkReport bench_match(const BenchmarkOptions& options) {
  using namespace match_bench;
  const std::int64_t target_seconds = options.quick ? 20 : 200, reference_seconds = options.quick ? 24 : 240;
  const auto repeats = options.repeats > 0 ? options.repeats : 3;
  const ScratchFolder folder;
  const auto target_file = folder / "target.wav", reference_file = folder / "reference.wav";
  write_song(target_file, target_seconds, 0.6, 0.3, 1);
  write_song(reference_file, reference_seconds, 0.3, 2.5, 2);
  StereoSignal result;
  const auto threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto target = read_match_input(target_file, MatchRole::target, {}).signal;
  const auto reference = read_match_input(reference_file, MatchRole::reference, {}).signal;
  const auto ours = time_ours(target, reference, repeats, result);
  const auto improved = time_improved(target, reference, 1);
  at::set_num_threads(threads);
  BenchmarkReport report{
      .setting = {fmt::format(
          "{} s matched to {} s, stereo at 44.1 kHz, in memory from doubles to doubles, one thread, "
          "cheapest of {} runs; memory is that of the whole process from file to file",
          target_seconds, reference_seconds, repeats)},
      .figures = {{.name = "match", .unit = "CPU s", .value = ours.cpu_seconds},
                  {.name = "match, wall", .unit = "wall s", .value = ours.wall_seconds},
                  {.name = "match, memory", .unit = "MB", .value = peak_megabytes(folder, "exact")},
                  {.name = "improved", .unit = "CPU s", .value = improved.cpu_seconds},
                  {.name = "improved, memory", .unit = "MB", .value = peak_megabytes(folder, "improved")}}};
  const auto theirs = ask_peer(
      options.python, "match_matchering.py",
      {target_file.string(), reference_file.string(), std::to_string(repeats), (folder / "theirs.npy").string()});
  const auto files =
      ask_peer(options.python, "match_matchering.py",
               {target_file.string(), reference_file.string(), "files", (folder / "theirs.wav").string()});
  if (theirs.empty() || files.empty()) {
    report.setting.push_back(fmt::format(
        "not compared: '{}' lacks Matchering; python3 -m venv peers && peers/bin/pip install matchering==2.0.6 "
        "scipy==1.17.1, then --python peers/bin/python",
        options.python));
    return report;
  }
  const double cpu = theirs.at("cpu_seconds"), wall = theirs.at("wall_seconds"), memory = files.at("peak_megabytes");
  report.figures.push_back({.name = "Matchering", .unit = "CPU s", .value = cpu});
  report.figures.push_back({.name = "Matchering, wall", .unit = "wall s", .value = wall});
  report.figures.push_back({.name = "Matchering, memory", .unit = "MB", .value = memory});
  report.figures.push_back({.name = "Matchering / ours", .unit = "x", .value = cpu / ours.cpu_seconds, .at_least = 6});
  report.figures.push_back(
      {.name = "Matchering / ours, wall", .unit = "x", .value = wall / ours.wall_seconds, .at_least = 6});
  report.figures.push_back(
      {.name = "Matchering / ours, memory", .unit = "x", .value = memory / report.figures[2].value, .at_least = 2});
  report.figures.push_back({.name = "largest difference of a sample",
                            .unit = "",
                            .value = largest_difference(result, read_npy(folder / "theirs.npy").values<double>()),
                            .at_most = 1e-6});
  return report;
}

}  // namespace melisma
