#include "infer/match/song_loudness.h"

#include <algorithm>
#include <cmath>

#include "data/audio/k_weighting.h"
#include "data/audio/loudness.h"

namespace melisma {
namespace song_loudness_detail {
namespace {

constexpr std::int64_t kBlockFrames = 1 << 14;
constexpr double kGateLu = 20, kLeastLufs = -100;

// The K-weighted energy of each 100 ms, both channels together, as a mean square.
std::vector<double> step_energies(const StereoSignal& signal) {
  const auto rate = signal.sample_rate_hz, n_frames = signal.n_frames();
  const auto step = std::max<std::int64_t>(1, std::llround(kLevelStepSeconds * static_cast<double>(rate)));
  const auto filter = k_weighting(rate);
  SectionState left_state(filter.size()), right_state(filter.size());
  std::vector<double> energies, block;
  for (std::int64_t first = 0; first < n_frames; first += step) {
    const auto count = std::min(step, n_frames - first);
    double energy = 0;
    for (const auto& [channel, state] :
         {std::pair{&signal.left, &left_state}, std::pair{&signal.right, &right_state}}) {
      block.assign(channel->begin() + first, channel->begin() + first + count);
      filter_sections(filter, std::span<double>(block), *state);
      for (const double x : block) energy += x * x;
    }
    if (count == step || energies.empty()) energies.push_back(energy / static_cast<double>(count));
  }
  return energies;
}

}  // namespace
}  // namespace song_loudness_detail

SongLoudness loudness_of(std::int64_t n_frames, std::int64_t sample_rate_hz, const FrameReader& read, bool with_peak) {
  using namespace song_loudness_detail;
  LoudnessMeter meter(sample_rate_hz, 2, {.true_peak = with_peak, .maxima = false});
  std::vector<double> left(kBlockFrames), right(kBlockFrames), interleaved(2 * kBlockFrames);
  for (std::int64_t first = 0; first < n_frames; first += kBlockFrames) {
    const auto count = static_cast<std::size_t>(std::min(kBlockFrames, n_frames - first));
    read(first, std::span(left).first(count), std::span(right).first(count));
    for (std::size_t i = 0; i < count; ++i) interleaved[2 * i] = left[i], interleaved[2 * i + 1] = right[i];
    meter.add_interleaved(std::span<const double>(interleaved).first(2 * count));
  }
  SongLoudness loudness{.integrated_lufs = meter.integrated_lufs(), .range_lu = meter.range_lu()};
  if (with_peak) loudness.true_peak_db = meter.true_peak_db();
  return loudness;
}

SongLoudness loudness_of(const StereoSignal& signal, bool with_peak) {
  const auto read = [&](std::int64_t first, std::span<double> left, std::span<double> right) {
    std::copy_n(signal.left.begin() + first, left.size(), left.begin());
    std::copy_n(signal.right.begin() + first, right.size(), right.begin());
  };
  return loudness_of(signal.n_frames(), signal.sample_rate_hz, read, with_peak);
}

std::vector<double> levels_over_time(const StereoSignal& signal) {
  using namespace song_loudness_detail;
  const auto energies = step_energies(signal);
  const auto n = std::ssize(energies);
  std::vector<double> levels(energies.size());
  for (std::int64_t i = 0; i < n; ++i) {
    // 400 ms around the middle of the step: its neighbours whole, those beside them by half.
    double energy = 0, weight = 0;
    for (std::int64_t k = -2; k <= 2; ++k) {
      if (i + k < 0 || i + k >= n) continue;
      const double share = std::abs(k) == 2 ? 0.5 : 1;
      energy += share * energies[static_cast<std::size_t>(i + k)];
      weight += share;
    }
    const double mean = energy / weight;
    levels[static_cast<std::size_t>(i)] = mean > 0 ? std::max(kLeastLufs, -0.691 + 10 * std::log10(mean)) : kLeastLufs;
  }
  return levels;
}

std::vector<double> level_quantiles(std::vector<double> levels, double integrated_lufs) {
  std::vector<double> quantiles(static_cast<std::size_t>(kLevelQuantiles));
  const double gate = integrated_lufs - song_loudness_detail::kGateLu;
  std::erase_if(levels, [&](double level) { return !(level >= gate); });
  if (levels.empty() || !std::isfinite(integrated_lufs)) return quantiles;
  std::ranges::sort(levels);
  for (std::size_t i = 0; i < quantiles.size(); ++i) {
    const double at =
        static_cast<double>(i + 1) / static_cast<double>(kLevelQuantiles + 1) * static_cast<double>(levels.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const auto above = std::min(below + 1, levels.size() - 1);
    quantiles[i] = std::lerp(levels[below], levels[above], at - static_cast<double>(below)) - integrated_lufs;
  }
  return quantiles;
}

}  // namespace melisma
