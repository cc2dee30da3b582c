// Comparisons of two samples: Student's intervals and tests, effect sizes, correlations.
#pragma once
#include <cstdint>
#include <span>

#include "eval/statistics/bootstrap.h"

namespace melisma {

// mean +- t * sd / sqrt(n); NaN bounds for fewer than two values.
[[nodiscard]] Interval student_interval(std::span<const double> values, double confidence);

struct PairedTTest {
  double t = 0;
  double p = 1;  // two-sided
  int64_t freedom = 0;
  Interval mean_difference_95;
};
// NaN t and p where the differences do not vary or there are fewer than two.
[[nodiscard]] PairedTTest paired_t_test(std::span<const double> differences);

// mean / sd of paired differences.
[[nodiscard]] double cohen_dz(std::span<const double> differences);
// (mean of second - mean of first) / root mean square of the two standard deviations.
[[nodiscard]] double cohen_d(std::span<const double> first, std::span<const double> second);
// Share of pairs in which second is larger, ties half; 1/2 = no difference.
[[nodiscard]] double probability_of_superiority(std::span<const double> first, std::span<const double> second);
// Share of pairs in which second is larger minus share in which it is smaller.
[[nodiscard]] double cliffs_delta(std::span<const double> first, std::span<const double> second);
// (W+ - W-) / (W+ + W-) of the signed ranks, zeros dropped.
[[nodiscard]] double rank_biserial(std::span<const double> differences);

struct Correlation {
  double value = 0;
  double p = 1;  // two-sided
};
// Samples of equal size (Error(internal) otherwise); NaN where one does not vary or there are fewer than three pairs.
[[nodiscard]] Correlation pearson_correlation(std::span<const double> x, std::span<const double> y);
[[nodiscard]] Correlation spearman_correlation(std::span<const double> x, std::span<const double> y);
// Tau-b; p exact without ties up to 170 pairs, normal with tie correction otherwise.
[[nodiscard]] Correlation kendall_correlation(std::span<const double> x, std::span<const double> y);

}  // namespace melisma
