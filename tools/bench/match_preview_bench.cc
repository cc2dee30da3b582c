// `melisma bench match-preview`: how long a moved control takes to be heard in a mix of eight stems.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "infer/match/frame_preview.h"
#include "tools/base/seed.h"
#include "tools/bench/benchmarks.h"
#include "tools/bench/peer.h"

namespace melisma {
namespace match_preview_bench {
namespace {

constexpr std::int64_t kRateHz = 44100;
constexpr std::size_t kStems = 8;

StereoSignal noise(std::int64_t seconds, std::int64_t number) {
  RandomSource random(seed_of(0, "bench match-preview", {number}));
  StereoSignal signal{{}, {}, kRateHz};
  for (std::int64_t i = 0; i < seconds * kRateHz; ++i) {
    signal.left.push_back(0.2 * (2 * random.uniform() - 1));
    signal.right.push_back(0.2 * (2 * random.uniform() - 1));
  }
  return signal;
}

MixControls controls_at(std::int64_t frame) {
  MixControls controls;
  for (std::size_t stem = 0; stem < kStems; ++stem) {
    const double phase = 0.1 * static_cast<double>(frame) + static_cast<double>(stem);
    controls.stems.push_back({.gain_db = 6 * std::sin(phase), .blend = 0.5 + 0.5 * std::cos(phase)});
  }
  return controls;
}

// Milliseconds from each move to the frame that has it, sorted.
std::vector<double> latencies(const std::vector<StemTrack>& tracks, const std::optional<LimiterSettings>& limiter) {
  std::vector<double> all;
  FramePreview preview(tracks, controls_at(0), limiter);
  StereoSignal block;
  for (std::int64_t frame = 1;; ++frame) {
    const double before = wall_seconds();
    preview.set(controls_at(frame));
    if (!preview.render(block)) break;
    all.push_back(1000 * (wall_seconds() - before));
  }
  std::ranges::sort(all);
  return all;
}

double null_db(const StereoSignal& expected, const StereoSignal& found, std::int64_t first) {
  double difference = 0, energy = 0;
  for (std::size_t i = 0; i < found.left.size(); ++i) {
    const double wanted = expected.left[static_cast<std::size_t>(first) + i];
    difference += std::pow(found.left[i] - wanted, 2);
    energy += wanted * wanted;
  }
  return 10 * std::log10(std::max(difference, 1e-300) / energy);
}

StereoSignal all_of(FramePreview& preview) {
  StereoSignal all{{}, {}, kRateHz}, block;
  while (preview.render(block)) {
    all.left.insert(all.left.end(), block.left.begin(), block.left.end());
    all.right.insert(all.right.end(), block.right.begin(), block.right.end());
  }
  return all;
}

}  // namespace
}  // namespace match_preview_bench

BenchmarkReport bench_match_preview(const BenchmarkOptions& options) {
  using namespace match_preview_bench;
  const std::int64_t seconds = options.quick ? 5 : 60;
  std::vector<StemTrack> tracks;
  for (std::size_t stem = 0; stem < kStems; ++stem) {
    const auto number = static_cast<std::int64_t>(stem);
    tracks.push_back({fmt::format("stem {}", stem), noise(seconds, 2 * number), noise(seconds, 2 * number + 1)});
  }
  const LimiterSettings limiter;
  const auto linear = latencies(tracks, std::nullopt), limited = latencies(tracks, limiter);
  const auto late = [](const std::vector<double>& all) { return all[all.size() * 99 / 100]; };
  // What does not move, against the whole mix; through the limiter from the middle on, against it from the beginning.
  const auto controls = controls_at(3);
  StereoSignal mix = tracks.front().dry;
  mix_stems(tracks, controls, 0, mix.left, mix.right);
  FramePreview preview(tracks, controls), with_limiter(tracks, controls, limiter);
  const double linear_null = null_db(mix, all_of(preview), 0);
  const auto from_start = all_of(with_limiter);
  const auto middle = from_start.n_frames() / 2;
  with_limiter.seek(middle);
  const double seek_null = null_db(from_start, all_of(with_limiter), middle);
  return {.setting = {fmt::format("{} stems of {} s, each matched and as it was, gains and blends moved before every "
                                  "frame; one thread",
                                  kStems, seconds)},
          .figures = {{.name = "frame, median", .unit = "ms", .value = linear[linear.size() / 2]},
                      {.name = "frame, 99 of 100", .unit = "ms", .value = late(linear), .at_most = 20},
                      {.name = "frame with limiter, median", .unit = "ms", .value = limited[limited.size() / 2]},
                      {.name = "frame with limiter, 99 of 100", .unit = "ms", .value = late(limited), .at_most = 20},
                      {.name = "against the whole mix", .unit = "dB", .value = linear_null, .at_most = -120},
                      {.name = "begun in the middle, with limiter", .unit = "dB", .value = seek_null}}};
}

}  // namespace melisma
