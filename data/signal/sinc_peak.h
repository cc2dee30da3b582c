// A band-limited sequence between its samples: sin(x)/x under a raised cosine, and where it is highest.
#pragma once
#include <cstdint>
#include <span>

namespace melisma {

// values at the place x, from at most `depth` samples each side (fewer near the ends); beyond the ends the end value.
[[nodiscard]] double sinc_interpolated(std::span<const double> values, double x, std::int64_t depth);

struct SincPeak {
  double place = 0, value = 0;
};
// The highest place within one sample of the local maximum `i`, 0 < i < size - 1.
[[nodiscard]] SincPeak sinc_peak(std::span<const double> values, std::int64_t i, std::int64_t depth);

}  // namespace melisma
