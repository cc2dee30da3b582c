#include "eval/statistics/paired.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "eval/statistics/distributions.h"
#include "eval/statistics/permutations.h"
#include "eval/statistics/quantile.h"
#include "eval/statistics/rank_tests.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void check_pairs(std::span<const double> x, std::span<const double> y) {
  if (x.size() != y.size()) {
    fail(ErrorKind::internal, "correlation: {} values against {}; expected pairs", x.size(), y.size());
  }
}

// The three sums over ties that Kendall's variance needs.
struct TieSums {
  double pairs = 0;    // t (t - 1) / 2
  double triples = 0;  // t (t - 1) (t - 2)
  double weights = 0;  // t (t - 1) (2 t + 5)
};

TieSums tie_sums(std::span<const double> values) {
  TieSums sums;
  for (double t : tie_sizes(values)) {
    sums.pairs += t * (t - 1) / 2;
    sums.triples += t * (t - 1) * (t - 2);
    sums.weights += t * (t - 1) * (2 * t + 5);
  }
  return sums;
}

}  // namespace

Interval student_interval(std::span<const double> values, double confidence) {
  if (values.size() < 2) {
    return {kNan, kNan};
  }
  auto n = static_cast<double>(values.size());
  double reach = student_quantile(.5 * (1 + confidence), n - 1) * standard_deviation(values) / std::sqrt(n);
  return {mean(values) - reach, mean(values) + reach};
}

PairedTTest paired_t_test(std::span<const double> differences) {
  PairedTTest test{kNan, kNan, std::max<int64_t>(0, static_cast<int64_t>(differences.size()) - 1), {kNan, kNan}};
  if (differences.size() < 2) {
    return test;
  }
  test.mean_difference_95 = student_interval(differences, .95);
  double spread = standard_deviation(differences);
  if (spread > 0) {
    test.t = mean(differences) / (spread / std::sqrt(static_cast<double>(differences.size())));
    test.p = 2 * student_sf(std::abs(test.t), static_cast<double>(test.freedom));
  }
  return test;
}

double cohen_dz(std::span<const double> differences) { return mean(differences) / standard_deviation(differences); }

double cohen_d(std::span<const double> first, std::span<const double> second) {
  double a = standard_deviation(first);
  double b = standard_deviation(second);
  return (mean(second) - mean(first)) / std::sqrt(.5 * (a * a + b * b));
}

double probability_of_superiority(std::span<const double> first, std::span<const double> second) {
  double pairs = static_cast<double>(first.size()) * static_cast<double>(second.size());
  return mann_whitney_test(second, first).u / pairs;
}

double cliffs_delta(std::span<const double> first, std::span<const double> second) {
  return 2 * probability_of_superiority(first, second) - 1;
}

double rank_biserial(std::span<const double> differences) {
  auto ranks = signed_rank_test(differences, {.distribution = NullDistribution::normal});
  return (ranks.w_plus - ranks.w_minus) / (ranks.w_plus + ranks.w_minus);
}

Correlation pearson_correlation(std::span<const double> x, std::span<const double> y) {
  check_pairs(x, y);
  if (x.size() < 3) {
    return {kNan, kNan};
  }
  double mean_x = mean(x);
  double mean_y = mean(y);
  double xx = 0;
  double yy = 0;
  double xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  if (xx == 0 || yy == 0) {
    return {kNan, kNan};
  }
  double r = std::clamp(xy / std::sqrt(xx * yy), -1.0, 1.0);
  auto freedom = static_cast<double>(x.size()) - 2;
  // P(|T| > t) written in r itself: I_{1 - r^2}(freedom / 2, 1/2), which stays accurate as r nears 1.
  return {r, incomplete_beta(.5 * freedom, .5, (1 - r) * (1 + r))};
}

Correlation spearman_correlation(std::span<const double> x, std::span<const double> y) {
  check_pairs(x, y);
  return pearson_correlation(average_ranks(x), average_ranks(y));
}

Correlation kendall_correlation(std::span<const double> x, std::span<const double> y) {
  check_pairs(x, y);
  auto n = static_cast<double>(x.size());
  double s = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t j = i + 1; j < x.size(); ++j) {
      double product = (x[j] - x[i]) * (y[j] - y[i]);
      s += (product > 0) - (product < 0);
    }
  }
  double pairs = n * (n - 1) / 2;
  auto ties_x = tie_sums(x);
  auto ties_y = tie_sums(y);
  double scale = std::sqrt((pairs - ties_x.pairs) * (pairs - ties_y.pairs));
  if (x.size() < 3 || scale == 0) {
    return {kNan, kNan};
  }
  Correlation result{s / scale, 1};
  if (ties_x.pairs == 0 && ties_y.pairs == 0 && x.size() <= 170) {
    auto rarer = static_cast<int64_t>((pairs - std::abs(s)) / 2);
    result.p = std::min(1.0, 2 * share_of_permutations(rarer, static_cast<int64_t>(x.size())));
    return result;
  }
  double variance = (n * (n - 1) * (2 * n + 5) - ties_x.weights - ties_y.weights) / 18 +
                    2 * ties_x.pairs * ties_y.pairs / (n * (n - 1)) +
                    ties_x.triples * ties_y.triples / (9 * n * (n - 1) * (n - 2));
  result.p = std::min(1.0, 2 * normal_sf(std::abs(s) / std::sqrt(variance)));
  return result;
}

}  // namespace melisma
