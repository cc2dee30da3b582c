#include "eval/statistics/trend.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "eval/statistics/distributions.h"
#include "eval/statistics/permutations.h"
#include "eval/statistics/quantile.h"
#include "tools/base/error.h"

namespace melisma {

TrendTest mann_kendall(std::span<const double> values) {
  TrendTest test;
  auto n = static_cast<int64_t>(values.size());
  for (int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(values[static_cast<size_t>(i)])) {
      fail(ErrorKind::data, "trend test: value {} of {} is not finite", i, n);
    }
  }
  if (n < 2) {
    return test;
  }
  std::vector<double> slopes;
  slopes.reserve(static_cast<size_t>(n * (n - 1) / 2));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = i + 1; j < n; ++j) {
      double rise = values[static_cast<size_t>(j)] - values[static_cast<size_t>(i)];
      test.s += (rise > 0) - (rise < 0);
      slopes.push_back(rise / static_cast<double>(j - i));
    }
  }
  auto ties = tie_sizes(values);
  auto count = static_cast<double>(n);
  double variance = count * (count - 1) * (2 * count + 5);
  for (double tied : ties) {
    variance -= tied * (tied - 1) * (2 * tied + 5);
  }
  test.variance = variance / 18;
  if (test.variance > 0) {
    auto z_of = [&](double s) { return s / std::sqrt(test.variance); };
    double direction = (test.s > 0) - (test.s < 0);
    test.z = z_of(test.s - direction);
    test.p_two_sided = std::min(1.0, 2 * normal_sf(std::abs(test.z)));
    test.p_rising = normal_sf(z_of(test.s - 1));
    test.p_falling = normal_cdf(z_of(test.s + 1));
  }
  auto pairs = static_cast<double>(slopes.size());
  test.kendall_tau = test.s / pairs;
  test.sen_slope = median(slopes);
  test.sen_intercept = median(values) - .5 * (count - 1) * test.sen_slope;
  if (ties.empty() && n <= 170) {
    auto rarer = static_cast<int64_t>((pairs - std::abs(test.s)) / 2);
    test.p_exact = std::min(1.0, 2 * share_of_permutations(rarer, n));
  }
  return test;
}

}  // namespace melisma
