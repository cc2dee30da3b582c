#include "data/signal/pyin.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/signal/pitch_decoder.h"

namespace melisma {
namespace pyin_detail {
namespace {

constexpr std::int64_t kThresholds = 100;  // 0.01, 0.02 ... 1
constexpr std::int64_t kBinsPerSemitone = 10;
constexpr double kBoltzmann = 2;               // prior of the n-th dip below a threshold: exp(-2 n)
constexpr double kNoTroughProbability = 0.01;  // left to the deepest dip where none is below the threshold
constexpr double kOctavesPerSecond = 35.92;    // fastest pitch change

// Share of the beta(2, 18) prior below each threshold, [0 ... kThresholds].
const std::array<double, kThresholds + 1>& prior_below() {
  static const auto table = [] {
    std::array<double, kThresholds + 1> below{};
    for (std::size_t i = 0; i < below.size(); ++i) {
      const auto x = static_cast<double>(i) / static_cast<double>(kThresholds);
      below[i] = 1 - std::pow(1 - x, 19) - 19 * x * std::pow(1 - x, 18);
    }
    return below;
  }();
  return table;
}

struct Trough {
  std::int64_t lag;    // index into d
  double depth;        // d' there
  std::int64_t first;  // thresholds 0 ... first-1 lie at or below the depth
  double probability = 0;
};

// Local minima of d', the two ends included where d' falls towards them.
void find_troughs(std::span<const double> d, std::vector<Trough>& troughs) {
  troughs.clear();
  const auto n = d.size();
  for (std::size_t i = 0; i < n; ++i) {
    const bool falls = i == 0 || d[i] < d[i - 1];
    const bool rises = i == 0 ? d[0] < d[1] : i == n - 1 || d[i] <= d[i + 1];
    if (!falls || !rises) continue;
    std::int64_t first = std::clamp<std::int64_t>(static_cast<std::int64_t>(d[i] * kThresholds) - 1, 0, kThresholds);
    while (first < kThresholds && !(d[i] < static_cast<double>(first + 1) * (1.0 / kThresholds))) ++first;
    troughs.push_back({static_cast<std::int64_t>(i), d[i], first});
  }
}

// Every threshold shares its prior among the troughs below it, mostly to the shortest lags; where none is below, a
// hundredth of it goes to the deepest. Between two neighbouring depths all thresholds share alike.
void weigh_troughs(std::vector<Trough>& troughs, std::vector<std::int64_t>& borders) {
  const auto& below = prior_below();
  const auto share = [&](std::int64_t from, std::int64_t to) {
    return below[static_cast<std::size_t>(to)] - below[static_cast<std::size_t>(from)];
  };
  borders.clear();
  for (const auto& trough : troughs) borders.push_back(trough.first);
  std::sort(borders.begin(), borders.end());
  borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
  for (std::size_t b = 0; b < borders.size() && borders[b] < kThresholds; ++b) {
    const auto from = borders[b], to = b + 1 < borders.size() ? borders[b + 1] : kThresholds;
    const auto n = std::count_if(troughs.begin(), troughs.end(), [&](const Trough& t) { return t.first <= from; });
    const auto scale = (1 - std::exp(-kBoltzmann)) / (1 - std::exp(-kBoltzmann * static_cast<double>(n)));
    auto weight = scale * share(from, to);
    for (auto& trough : troughs) {
      if (trough.first > from) continue;
      trough.probability += weight;
      weight *= std::exp(-kBoltzmann);
    }
  }
  const auto deepest = std::min_element(troughs.begin(), troughs.end(),
                                        [](const Trough& a, const Trough& b) { return a.depth < b.depth; });
  deepest->probability += kNoTroughProbability * share(0, deepest->first);
}

std::int64_t n_pitch_bins(const YinConfig& config) {
  return static_cast<std::int64_t>(std::floor(12 * kBinsPerSemitone * std::log2(config.fmax_hz / config.fmin_hz))) + 1;
}

struct Scratch {
  std::vector<Trough> troughs;
  std::vector<std::int64_t> borders;
};

// d' of one frame -> what it says about the pitch; voiced_probability = the sum over bins.
PitchObservation observe(std::span<const double> d, std::span<const double> correlation, const YinConfig& config,
                         Scratch& scratch, float& voiced_probability) {
  const auto n_bins = n_pitch_bins(config);
  PitchObservation seen;
  find_troughs(d, scratch.troughs);
  if (!scratch.troughs.empty()) weigh_troughs(scratch.troughs, scratch.borders);
  for (auto trough = scratch.troughs.rbegin(); trough != scratch.troughs.rend(); ++trough) {  // ascending pitch
    if (trough->probability == 0) continue;
    const auto period = static_cast<double>(config.min_lag() + trough->lag) + parabolic_offset(d, trough->lag);
    const auto hz = static_cast<double>(config.sample_rate_hz) / period;
    const auto bin = std::clamp<double>(std::nearbyint(12 * kBinsPerSemitone * std::log2(hz / config.fmin_hz)), 0,
                                        static_cast<double>(n_bins));
    const auto b = static_cast<std::int32_t>(bin);
    if (b == n_bins) continue;
    // Of two candidates in one bin the longer period counts, which came first here.
    if (!seen.voiced.empty() && seen.voiced.back().bin == b) continue;
    const auto refined = static_cast<double>(config.sample_rate_hz) / refined_period(correlation, trough->lag, config);
    seen.voiced.push_back({b, static_cast<float>(refined), trough->probability});
  }
  double sum = 0;
  for (const auto& bin : seen.voiced) sum += bin.probability;
  sum = std::clamp(sum, 0.0, 1.0);
  seen.unvoiced = (1 - sum) / static_cast<double>(n_bins);
  voiced_probability = static_cast<float>(sum);
  return seen;
}

}  // namespace
}  // namespace pyin_detail

std::vector<PyinFrame> pyin(std::span<const float> wave, const YinConfig& config, int threads) {
  using namespace pyin_detail;
  config.check();
  const auto n_frames = static_cast<std::size_t>(config.n_frames(static_cast<std::int64_t>(wave.size())));
  const auto n_bins = n_pitch_bins(config);
  std::vector<PyinFrame> frames(n_frames);
  std::vector<PitchObservation> observations(n_frames);
  for_each_lag_chunk(wave, config, threads, [&](const LagChunk& chunk) {
    Scratch scratch;
    for (std::int64_t t = 0; t < chunk.count; ++t) {
      const auto i = static_cast<std::size_t>(chunk.first + t);
      observations[i] =
          observe(chunk.difference_of(t), chunk.correlation_of(t), config, scratch, frames[i].voiced_probability);
    }
  });
  const auto semitones = std::nearbyint(kOctavesPerSecond * 12 * static_cast<double>(config.hop) /
                                        static_cast<double>(config.sample_rate_hz));
  const auto states = decode_pitch(
      observations, {.n_bins = n_bins, .half_width = static_cast<std::int64_t>(semitones) * kBinsPerSemitone / 2});
  for (std::size_t i = 0; i < frames.size(); ++i) {
    frames[i].f0_hz = frames[i].refined_hz = 0;
    if (states[i] >= n_bins) continue;
    frames[i].f0_hz = static_cast<float>(config.fmin_hz * std::exp2(states[i] / (12.0 * kBinsPerSemitone)));
    frames[i].refined_hz = frames[i].f0_hz;
    for (const auto& seen : observations[i].voiced) {
      if (seen.bin == states[i]) frames[i].refined_hz = seen.hz;
    }
  }
  return frames;
}

}  // namespace melisma
