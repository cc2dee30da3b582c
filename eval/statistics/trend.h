// Mann-Kendall trend test and Sen's slope: whether a series of evaluations rises or falls, and by how much a step.
#pragma once
#include <optional>
#include <span>

namespace melisma {

struct TrendTest {
  double s = 0;                   // pairs that rise minus pairs that fall
  double variance = 0;            // of s without a trend, corrected for ties
  double z = 0;                   // (s - sign(s)) / sqrt(variance)
  double p_two_sided = 1;         // normal approximation
  double p_rising = 1;            // one-sided: small when the series rises
  double p_falling = 1;           // one-sided: small when the series falls
  std::optional<double> p_exact;  // two-sided, from all permutations; only without ties and for at most 170 values
  double kendall_tau = 0;         // s over the number of pairs
  double sen_slope = 0;           // median slope of all pairs, per step
  double sen_intercept = 0;       // median(values) - median(index) * slope
};

// `values` in time order, finite. Fewer than two values: everything is neutral (p = 1, slope 0).
// Throws Error(data) on a non-finite value.
[[nodiscard]] TrendTest mann_kendall(std::span<const double> values);

}  // namespace melisma
