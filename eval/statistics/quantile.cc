#include "eval/statistics/quantile.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

double quantile_of_sorted(std::span<const double> sorted, double p) {
  if (!(p >= 0 && p <= 1)) {
    fail(ErrorKind::internal, "quantile: the probability is {}; expected 0 to 1", p);
  }
  if (sorted.empty()) {
    return kNan;
  }
  double position = p * static_cast<double>(sorted.size() - 1);
  auto below = static_cast<size_t>(position);
  size_t above = std::min(below + 1, sorted.size() - 1);
  double fraction = position - static_cast<double>(below);
  return sorted[below] + (sorted[above] - sorted[below]) * fraction;
}

double quantile(std::span<const double> values, double p) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return quantile_of_sorted(sorted, p);
}

double median(std::span<const double> values) { return quantile(values, .5); }

double mean(std::span<const double> values) {
  if (values.empty()) {
    return kNan;
  }
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double standard_deviation(std::span<const double> values) {
  if (values.size() < 2) {
    return kNan;
  }
  double centre = mean(values);
  double sum = 0;
  for (double value : values) {
    sum += (value - centre) * (value - centre);
  }
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

std::vector<double> average_ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return values[i] < values[j]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) {
      ++last;
    }
    double rank = .5 * static_cast<double>(first + last) + 1;
    for (size_t i = first; i <= last; ++i) {
      ranks[order[i]] = rank;
    }
    first = last + 1;
  }
  return ranks;
}

std::vector<double> tie_sizes(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> sizes;
  for (size_t first = 0; first < sorted.size();) {
    auto last = std::upper_bound(sorted.begin() + static_cast<ptrdiff_t>(first), sorted.end(), sorted[first]);
    auto next = static_cast<size_t>(last - sorted.begin());
    if (next == first) {  // NaN compares with nothing
      break;
    }
    if (next - first > 1) {
      sizes.push_back(static_cast<double>(next - first));
    }
    first = next;
  }
  return sizes;
}

}  // namespace melisma
