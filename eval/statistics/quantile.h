// Order statistics: medians and interpolated quantiles.
#pragma once
#include <span>
#include <vector>

namespace melisma {

// Linear interpolation at position (n - 1) * p of the sorted values, as numpy.quantile. NaN for no values.
// Throws Error(internal) for p outside [0, 1].
[[nodiscard]] double quantile(std::span<const double> values, double p);
// The same of values that are sorted already.
[[nodiscard]] double quantile_of_sorted(std::span<const double> sorted, double p);
[[nodiscard]] double median(std::span<const double> values);

[[nodiscard]] double mean(std::span<const double> values);
// Divides by n - 1; NaN for fewer than two values.
[[nodiscard]] double standard_deviation(std::span<const double> values);

// 1-based ranks, ties share their average rank (scipy.stats.rankdata's default).
[[nodiscard]] std::vector<double> average_ranks(std::span<const double> values);
// Sizes of the groups of equal values that hold more than one value.
[[nodiscard]] std::vector<double> tie_sizes(std::span<const double> values);

}  // namespace melisma
