#include "data/audio/normalise.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace melisma {
namespace {

constexpr double kLargestPeak = 2.5;
constexpr double kNormalisedShare = 0.9 * 0.75;
constexpr double kOriginalShare = 1 - 0.75;

template <class Real>
double measure_peak(std::span<const Real> samples) {
  Real peak = 0;
  bool is_finite = true;
  for (const Real sample : samples) {
    const Real size = std::abs(sample);
    is_finite &= size <= std::numeric_limits<Real>::max();
    peak = std::max(peak, size);
  }
  return is_finite ? static_cast<double>(peak) : std::numeric_limits<double>::quiet_NaN();
}

template <class Real>
Normalised apply(std::span<Real> samples, double peak) {
  if (!std::isfinite(peak)) return Normalised::non_finite;
  if (peak == 0) return Normalised::silent;
  if (peak > kLargestPeak) return Normalised::too_loud;
  for (Real& sample : samples) {
    const double value = sample;
    sample = static_cast<Real>(value / peak * kNormalisedShare + kOriginalShare * value);
  }
  return Normalised::done;
}

}  // namespace

double peak_of(std::span<const float> samples) { return measure_peak(samples); }
double peak_of(std::span<const double> samples) { return measure_peak(samples); }

Normalised normalise_level(std::span<float> samples) { return apply(samples, peak_of(samples)); }
Normalised normalise_level(std::span<double> samples) { return apply(samples, peak_of(samples)); }
Normalised normalise_level(std::span<float> samples, double peak) { return apply(samples, peak); }

}  // namespace melisma
