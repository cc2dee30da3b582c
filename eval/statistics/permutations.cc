#include "eval/statistics/permutations.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace melisma {
namespace {

double sum_of(const std::vector<double>& shares) { return std::accumulate(shares.begin(), shares.end(), 0.0); }

}  // namespace

double share_of_permutations(int64_t inversions, int64_t n) {
  if (inversions < 0) {
    return 0;
  }
  std::vector<double> share(static_cast<size_t>(inversions) + 1, 0.0);
  share[0] = 1;
  for (int64_t size = 2; size <= n; ++size) {  // a new largest element adds 0 ... size-1 inversions
    std::vector<double> next(share.size(), 0.0);
    for (size_t k = 0; k < share.size(); ++k) {
      size_t first = k + 1 >= static_cast<size_t>(size) ? k + 1 - static_cast<size_t>(size) : 0;
      for (size_t j = first; j <= k; ++j) {
        next[k] += share[j];
      }
      next[k] /= static_cast<double>(size);
    }
    share = std::move(next);
  }
  return std::min(1.0, sum_of(share));
}

double share_of_subsets(std::span<const int64_t> weights, int64_t limit) {
  if (limit < 0) {
    return 0;
  }
  std::vector<double> share(static_cast<size_t>(limit) + 1, 0.0);
  share[0] = 1;
  for (int64_t weight : weights) {
    for (int64_t k = limit; k >= 0; --k) {
      double with = k >= weight ? share[static_cast<size_t>(k - weight)] : 0;
      share[static_cast<size_t>(k)] = .5 * (share[static_cast<size_t>(k)] + with);
    }
  }
  return std::min(1.0, sum_of(share));
}

double share_of_arrangements(int64_t limit, int64_t n, int64_t m) {
  if (limit < 0) {
    return 0;
  }
  // counts[i][u]: arrangements of i values of the first sample among j of the second with U = u, j growing.
  auto width = static_cast<size_t>(limit) + 1;
  std::vector<std::vector<double>> counts(static_cast<size_t>(n) + 1, std::vector<double>(width, 0.0));
  for (auto& row : counts) {
    row[0] = 1;
  }
  for (int64_t j = 1; j <= m; ++j) {
    for (int64_t i = 1; i <= n; ++i) {
      // The largest value is of the first sample (it beats j values) or of the second (it beats none).
      auto& row = counts[static_cast<size_t>(i)];
      const auto& shorter = counts[static_cast<size_t>(i - 1)];
      for (int64_t u = limit; u >= j; --u) {
        row[static_cast<size_t>(u)] += shorter[static_cast<size_t>(u - j)];
      }
    }
  }
  double log_all = std::lgamma(static_cast<double>(n + m + 1)) - std::lgamma(static_cast<double>(n + 1)) -
                   std::lgamma(static_cast<double>(m + 1));
  return std::min(1.0, sum_of(counts[static_cast<size_t>(n)]) * std::exp(-log_all));
}

}  // namespace melisma
