#include "eval/statistics/rank_tests.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "eval/statistics/distributions.h"
#include "eval/statistics/permutations.h"
#include "eval/statistics/quantile.h"

namespace melisma {
namespace {

// Ranks of |difference| and what their signed sums look like when signs are arbitrary.
struct SignedRanks {
  std::vector<double> ranks;  // of the differences whose sign is free
  double w_plus = 0;
  double w_minus = 0;
  double centre = 0;    // expected w_plus
  double variance = 0;  // of w_plus
};

double cubic(double n) { return n * (n + 1) * (2 * n + 1); }

SignedRanks rank_differences(std::span<const double> differences, ZeroRule zeros) {
  std::vector<double> used;
  for (double d : differences) {
    if (d != 0 || zeros != ZeroRule::drop) {
      used.push_back(d);
    }
  }
  std::vector<double> sizes;
  for (double d : used) {
    sizes.push_back(std::abs(d));
  }
  auto ranks = average_ranks(sizes);
  SignedRanks result;
  double zero_ranks = 0;
  double n_zero = 0;
  std::vector<double> tied;  // the ranks whose ties shrink the variance
  for (size_t i = 0; i < used.size(); ++i) {
    if (used[i] == 0) {
      zero_ranks += ranks[i];
      ++n_zero;
      if (zeros == ZeroRule::split) {
        tied.push_back(ranks[i]);
      }
      continue;
    }
    (used[i] > 0 ? result.w_plus : result.w_minus) += ranks[i];
    result.ranks.push_back(ranks[i]);
    tied.push_back(ranks[i]);
  }
  auto n = static_cast<double>(used.size());
  result.centre = n * (n + 1) / 4;
  result.variance = cubic(n);
  if (zeros == ZeroRule::pratt) {
    result.centre -= n_zero * (n_zero + 1) / 4;
    result.variance -= cubic(n_zero);
  } else if (zeros == ZeroRule::split) {
    result.w_plus += zero_ranks / 2;
    result.w_minus += zero_ranks / 2;
  }
  for (double size : tie_sizes(tied)) {
    result.variance -= .5 * (size * size * size - size);
  }
  result.variance /= 24;
  return result;
}

// Exact p of the free signs; ranks are halves of integers, so their doubles are counted.
double exact_p(const SignedRanks& signs, Alternative alternative) {
  std::vector<int64_t> doubled;
  double total = 0;
  for (double rank : signs.ranks) {
    doubled.push_back(std::llround(2 * rank));
    total += rank;
  }
  double free_plus = signs.w_plus - .5 * (signs.w_plus + signs.w_minus - total);  // without the split zeros' share
  auto at_most = [&](double sum) { return share_of_subsets(doubled, std::llround(2 * sum)); };
  double p_less = at_most(free_plus);
  double p_greater = at_most(total - free_plus);  // the distribution is symmetric
  if (alternative == Alternative::less) {
    return p_less;
  }
  return alternative == Alternative::greater ? p_greater : std::min(1.0, 2 * std::min(p_less, p_greater));
}

}  // namespace

SignedRankTest signed_rank_test(std::span<const double> differences, const SignedRankOptions& options) {
  auto signs = rank_differences(differences, options.zeros);
  SignedRankTest test;
  test.n = static_cast<int64_t>(signs.ranks.size());
  test.w_plus = signs.w_plus;
  test.w_minus = signs.w_minus;
  bool is_two_sided = options.alternative == Alternative::two_sided;
  test.statistic = is_two_sided ? std::min(test.w_plus, test.w_minus) : test.w_plus;
  if (test.n == 0) {
    return test;
  }
  bool is_exact = options.distribution == NullDistribution::exact ||
                  (options.distribution == NullDistribution::automatic && test.n <= 50);
  if (is_exact) {
    test.p = exact_p(signs, options.alternative);
    return test;
  }
  double distance = test.statistic - signs.centre;
  if (options.continuity) {
    double direction = (distance > 0) - (distance < 0);
    distance -= .5 * (options.alternative == Alternative::greater ? 1
                      : options.alternative == Alternative::less  ? -1
                                                                  : direction);
  }
  test.z = distance / std::sqrt(signs.variance);
  test.p = is_two_sided                                  ? std::min(1.0, 2 * normal_sf(std::abs(test.z)))
           : options.alternative == Alternative::greater ? normal_sf(test.z)
                                                         : normal_cdf(test.z);
  return test;
}

Interval clopper_pearson_interval(int64_t successes, int64_t n, double confidence) {
  double tail = .5 * (1 - confidence);
  auto k = static_cast<double>(successes);
  auto count = static_cast<double>(n);
  return {successes == 0 ? 0 : beta_quantile(tail, k, count - k + 1),
          successes == n ? 1 : beta_quantile(1 - tail, k + 1, count - k)};
}

Interval wilson_interval(int64_t successes, int64_t n, double confidence) {
  if (n == 0) {
    return {0, 1};
  }
  double z = normal_quantile(.5 * (1 + confidence));
  auto count = static_cast<double>(n);
  double share = static_cast<double>(successes) / count;
  double shrink = 1 + z * z / count;
  double centre = (share + z * z / (2 * count)) / shrink;
  double reach = z * std::sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / shrink;
  return {std::max(0.0, centre - reach), std::min(1.0, centre + reach)};
}

SignTest sign_test(std::span<const double> differences) {
  SignTest test;
  for (double d : differences) {
    test.positive += d > 0;
    test.n += d != 0;
  }
  auto rarer = std::max(test.positive, test.n - test.positive);
  test.p = std::min(1.0, 2 * binomial_at_least(rarer, test.n, .5));
  test.clopper_pearson = clopper_pearson_interval(test.positive, test.n, .95);
  test.wilson = wilson_interval(test.positive, test.n, .95);
  return test;
}

MannWhitneyTest mann_whitney_test(std::span<const double> first, std::span<const double> second) {
  MannWhitneyTest test;
  auto n = static_cast<double>(first.size());
  auto m = static_cast<double>(second.size());
  if (first.empty() || second.empty()) {
    return test;
  }
  for (double a : first) {
    for (double b : second) {
      test.u += a > b ? 1 : a == b ? .5 : 0;
    }
  }
  std::vector<double> all(first.begin(), first.end());
  all.insert(all.end(), second.begin(), second.end());
  double ties = 0;
  for (double size : tie_sizes(all)) {
    ties += size * size * size - size;
  }
  double variance = n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)));
  double larger = std::max(test.u, n * m - test.u);
  double z = variance > 0 ? (larger - n * m / 2 - .5) / std::sqrt(variance) : 0;
  test.p_asymptotic = std::min(1.0, 2 * normal_sf(z));
  auto rarer = static_cast<int64_t>(std::floor(n * m - larger));
  test.p_exact = std::min(1.0, 2 * share_of_arrangements(rarer, static_cast<int64_t>(n), static_cast<int64_t>(m)));
  return test;
}

}  // namespace melisma
