#include "data/signal/harvest.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <numeric>

#include "data/audio/iir.h"
#include "data/signal/harvest_contour.h"
#include "data/signal/thread_limit.h"
#include "tools/base/error.h"

namespace melisma {
namespace harvest_detail {
namespace {

constexpr double kInnerRateHz = 8000;      // about the rate that the method works at
constexpr double kMarginSeconds = 4;       // of a piece, each side
constexpr std::int64_t kTailSamples = 75;  // after thinning: what the low-pass needs to forget

// Chebyshev low-pass of the first kind, order 3, ripple 0.05 dB, up to 0.8 of the half rate after thinning: the
// bilinear transform of the textbook's poles.
Sections thinning_filter(std::int64_t ratio) {
  using Complex = std::complex<double>;
  const auto ripple = std::sqrt(std::pow(10.0, 0.05 / 10) - 1);
  const auto width = std::asinh(1 / ripple) / 3;
  const auto corner = std::tan(std::numbers::pi / 2 * 0.8 / static_cast<double>(ratio));
  const auto pole = [&](int k) {
    const auto angle = std::numbers::pi * (2 * k - 1) / 6;
    const Complex analog = corner * Complex(-std::sinh(width) * std::sin(angle), std::cosh(width) * std::cos(angle));
    return (1.0 + analog) / (1.0 - analog);
  };
  const auto pair = pole(1);
  const auto single = pole(2).real();
  Section first{.b1 = 1, .b2 = 0, .a1 = -single},
      second{.b1 = 2, .b2 = 1, .a1 = -2 * pair.real(), .a2 = std::norm(pair)};
  const auto first_gain = (1 + first.a1) / 2, second_gain = (1 + second.a1 + second.a2) / 4;  // 1 at 0 Hz
  first.b0 = first.b1 = first_gain;
  second.b0 = second.b2 = second_gain, second.b1 = 2 * second_gain;
  return {first, second};
}

// The wave at 1/ratio of its rate: low-passed forwards and backwards, then every ratio-th sample such that the last one
// is among them.
std::vector<double> thinned(std::span<const float> wave, std::int64_t ratio) {
  std::vector<double> signal;
  std::transform(wave.begin(), wave.end(), std::back_inserter(signal),
                 [](float x) { return std::isfinite(x) ? static_cast<double>(x) : 0.0; });
  if (ratio == 1) return signal;
  signal = filter_both_ways_held(thinning_filter(ratio), signal, static_cast<std::size_t>(kTailSamples * ratio));
  std::vector<double> thin;
  const auto step = static_cast<std::size_t>(ratio);
  for (auto k = (signal.size() - 1) % step; k < signal.size(); k += step) thin.push_back(signal[k]);
  return thin;
}

// The whole method on one piece -> f0 at 0, 1, 2 ... ms of it.
std::vector<double> contour_of(std::span<const float> wave, const HarvestConfig& config) {
  const auto rate = static_cast<double>(config.sample_rate_hz);
  const auto ratio = std::clamp<std::int64_t>(std::llround(rate / kInnerRateHz), 1, 12);
  auto signal = thinned(wave, ratio);
  const auto mean = std::accumulate(signal.begin(), signal.end(), 0.0) / static_cast<double>(signal.size());
  for (auto& x : signal) x -= mean;
  const auto n_frames = static_cast<std::int64_t>(1000 * static_cast<double>(wave.size()) / rate) + 1;
  return harvest_contour(
      harvest_candidates(signal, rate / static_cast<double>(ratio), config.fmin_hz, config.fmax_hz, n_frames));
}

}  // namespace
}  // namespace harvest_detail

void HarvestConfig::check() const {
  const auto rate = static_cast<double>(sample_rate_hz);
  if (!(fmin_hz > 0 && fmin_hz < fmax_hz && fmax_hz <= rate / 2) || sample_rate_hz < 8000) {
    fail(ErrorKind::config,
         "harvest: the range {} to {} Hz at {} Hz is not possible; need 0 < lowest < highest <= rate/2 and a rate of "
         "8000 Hz or more",
         fmin_hz, fmax_hz, sample_rate_hz);
  }
  if (!(frame_period_ms > 0) || !(piece_s >= 1)) {
    fail(ErrorKind::config, "harvest: a frame period of {} ms and pieces of {} s are not possible", frame_period_ms,
         piece_s);
  }
}

std::vector<double> harvest(std::span<const float> wave, const HarvestConfig& config, int threads) {
  using namespace harvest_detail;
  config.check();
  const ThreadLimit limit(threads);
  const auto rate = static_cast<double>(config.sample_rate_hz);
  const auto n = static_cast<std::int64_t>(wave.size());
  const auto n_frames = static_cast<std::int64_t>(1000 * static_cast<double>(n) / rate / config.frame_period_ms) + 1;
  std::vector<double> f0(static_cast<std::size_t>(n_frames));
  if (n == 0) return f0;
  const auto margin = static_cast<std::int64_t>(kMarginSeconds * rate);
  auto piece = static_cast<std::int64_t>(config.piece_s * rate);
  if (n <= piece + 2 * margin) piece = n;
  std::size_t t = 0;
  for (std::int64_t first = 0; first < n; first += piece) {
    // A piece ends with the wave or a whole number of seconds before it.
    const auto begin = std::max<std::int64_t>(0, first - margin), end = std::min(n, first + piece + margin);
    const auto contour =
        contour_of(wave.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)), config);
    const auto offset_ms = 1000 * static_cast<double>(begin) / rate;
    const bool is_last = first + piece >= n;
    for (; t < f0.size(); ++t) {
      const auto time_ms = static_cast<double>(t) * config.frame_period_ms;
      if (!is_last && time_ms >= 1000 * static_cast<double>(first + piece) / rate) break;
      const auto nearest = static_cast<std::size_t>(time_ms - offset_ms + 0.5);
      f0[t] = contour[std::min(contour.size() - 1, nearest)];
    }
  }
  return f0;
}

}  // namespace melisma
