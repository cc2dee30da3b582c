// Is a series rising? The Mann-Kendall test of monotonic trend.
#pragma once
#include <span>

namespace melisma {

struct MannKendall {
  double s = 0;         // pairs that rise minus pairs that fall
  double variance = 0;  // of s when there is no trend, corrected for ties
  double z = 0;         // continuity-corrected
  double p_rising = 1;  // one-sided: how likely so high an s is without a trend
};

// Normal approximation with tie and continuity corrections (Mann 1945; Kendall 1975), as pymannkendall's original_test,
// one-sided. Fewer than two values, or only equal ones: p_rising = 1. `values` are finite.
[[nodiscard]] MannKendall mann_kendall(std::span<const double> values);

}  // namespace melisma
