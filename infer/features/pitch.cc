#include "infer/features/pitch.h"

#include <algorithm>
#include <cmath>

#include "data/signal/dio.h"
#include "data/signal/harvest.h"
#include "data/signal/praat_pitch.h"
#include "data/signal/pyin.h"
#include "data/signal/stonemask.h"
#include "data/signal/yin.h"

namespace melisma {
namespace pitch_detail {
namespace {

YinConfig yin_config(const PitchConfig& config) {
  return {.sample_rate_hz = kFeatureRateHz,
          .fmin_hz = config.fmin_hz,
          .fmax_hz = config.fmax_hz,
          .frame = 2048,
          .hop = kFeatureHopSamples};
}

constexpr double kFramePeriodMs = 1000.0 * kFeatureHopSamples / kFeatureRateHz;

// WORLD gives one frame more than there are whole hops.
std::vector<float> refined_by_stonemask(std::span<const float> wave_16k, std::vector<double> rough, int threads) {
  rough.resize(wave_16k.size() / kFeatureHopSamples);
  const auto f0 = stonemask(wave_16k, kFeatureRateHz, rough, kFramePeriodMs, threads);
  return {f0.begin(), f0.end()};
}

double coarse_mel(double f0_hz) { return 1127 * std::log1p(f0_hz / 700); }

double percentile(const std::vector<float>& sorted, double share) {
  const auto position = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace
}  // namespace pitch_detail

static_assert(std::equal(kPitchMethods.begin(), kPitchMethods.end(), kPitchMethodNames.begin(), kPitchMethodNames.end(),
                         [](const PitchMethod& method, std::string_view name) { return method.name == name; }));

std::vector<float> pitch_by_pyin(std::span<const float> wave_16k, const PitchConfig& config, int threads) {
  const auto frames = pyin(wave_16k, pitch_detail::yin_config(config), threads);
  std::vector<float> f0(wave_16k.size() / kFeatureHopSamples);
  for (std::size_t t = 0; t < f0.size(); ++t) f0[t] = frames[t].refined_hz;
  return f0;
}

std::vector<float> pitch_by_yin(std::span<const float> wave_16k, const PitchConfig& config, int threads) {
  // Over 128 ms speech is never quite periodic: with these two numbers voicing agrees with pYIN and with corrected
  // singing in 79 to 93 % of frames, with librosa's 0.1 for both in half of them.
  constexpr double kThreshold = 0.2, kVoiced = 0.5;
  auto settings = pitch_detail::yin_config(config);
  settings.threshold = kThreshold;
  const auto frames = yin(wave_16k, settings, threads);
  std::vector<float> f0(wave_16k.size() / kFeatureHopSamples);
  for (std::size_t t = 0; t < f0.size(); ++t) f0[t] = frames[t].aperiodicity < kVoiced ? frames[t].refined_hz : 0;
  return f0;
}

std::vector<float> pitch_by_harvest(std::span<const float> wave_16k, const PitchConfig& config, int threads) {
  const HarvestConfig settings{.sample_rate_hz = kFeatureRateHz,
                               .fmin_hz = config.fmin_hz,
                               .fmax_hz = config.fmax_hz,
                               .frame_period_ms = pitch_detail::kFramePeriodMs};
  return pitch_detail::refined_by_stonemask(wave_16k, harvest(wave_16k, settings, threads), threads);
}

std::vector<float> pitch_by_dio(std::span<const float> wave_16k, const PitchConfig& config, int threads) {
  const DioConfig settings{.sample_rate_hz = kFeatureRateHz,
                           .fmin_hz = config.fmin_hz,
                           .fmax_hz = config.fmax_hz,
                           .frame_period_ms = pitch_detail::kFramePeriodMs};
  return pitch_detail::refined_by_stonemask(wave_16k, dio(wave_16k, settings, threads), threads);
}

std::vector<float> pitch_by_praat(std::span<const float> wave_16k, const PitchConfig& config, int threads) {
  const auto step = pitch_detail::kFramePeriodMs / 1000;
  const auto found = praat_pitch(wave_16k,
                                 {.sample_rate_hz = kFeatureRateHz,
                                  .fmin_hz = config.fmin_hz,
                                  .fmax_hz = config.fmax_hz,
                                  .time_step_s = step,
                                  .on_steps = true},
                                 threads);
  std::vector<float> f0(wave_16k.size() / kFeatureHopSamples);
  const auto first = static_cast<std::size_t>(std::llround(found.first_s / step));
  for (std::size_t t = 0; t < found.f0_hz.size() && first + t < f0.size(); ++t) {
    f0[first + t] = static_cast<float>(found.f0_hz[t]);
  }
  return f0;
}

std::int64_t coarse_pitch(double f0_hz) {
  const auto low = pitch_detail::coarse_mel(50), high = pitch_detail::coarse_mel(1100);
  if (!(f0_hz > 0)) return 1;
  const auto bin = (pitch_detail::coarse_mel(f0_hz) - low) * 254 / (high - low) + 1;
  return static_cast<std::int64_t>(std::nearbyint(std::clamp(bin, 1.0, 255.0)));
}

std::vector<std::int64_t> coarse_pitch(std::span<const float> f0_hz) {
  std::vector<std::int64_t> bins(f0_hz.size());
  std::transform(f0_hz.begin(), f0_hz.end(), bins.begin(), [](float hz) { return coarse_pitch(double{hz}); });
  return bins;
}

std::vector<float> shift_pitch(std::span<const float> f0_hz, double semitones) {
  std::vector<float> shifted(f0_hz.begin(), f0_hz.end());
  const auto factor = std::exp2(semitones / 12);
  for (auto& hz : shifted) hz = static_cast<float>(hz * factor);
  return shifted;
}

std::vector<float> fill_unvoiced(std::span<const float> f0_hz) {
  std::vector<float> filled(f0_hz.begin(), f0_hz.end());
  const auto n = filled.size();
  std::size_t last = n;  // last voiced frame so far; n = none
  for (std::size_t t = 0; t < n; ++t) {
    if (!(f0_hz[t] > 0)) continue;
    for (std::size_t gap = last == n ? 0 : last + 1; gap < t; ++gap) {
      filled[gap] = last == n ? f0_hz[t]
                              : f0_hz[last] + (f0_hz[t] - f0_hz[last]) * static_cast<float>(gap - last) /
                                                  static_cast<float>(t - last);
    }
    last = t;
  }
  if (last < n) std::fill(filled.begin() + static_cast<std::ptrdiff_t>(last) + 1, filled.end(), f0_hz[last]);
  return filled;
}

PitchSummary summarise_pitch(std::span<const float> f0_hz) {
  std::vector<float> voiced;
  std::copy_if(f0_hz.begin(), f0_hz.end(), std::back_inserter(voiced), [](float hz) { return hz > 0; });
  if (voiced.empty()) return {};
  std::sort(voiced.begin(), voiced.end());
  return {.voiced_share = static_cast<double>(voiced.size()) / static_cast<double>(f0_hz.size()),
          .median_hz = pitch_detail::percentile(voiced, 0.5),
          .low_hz = pitch_detail::percentile(voiced, 0.05),
          .high_hz = pitch_detail::percentile(voiced, 0.95)};
}

}  // namespace melisma
