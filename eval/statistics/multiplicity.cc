#include "eval/statistics/multiplicity.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace melisma {
namespace {

std::vector<size_t> ascending(std::span<const double> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return p[i] < p[j]; });
  return order;
}

// adjust(p, rank 1 ... n) made monotone from the smallest p upwards (step-down) or from the largest downwards
// (step-up).
using AdjustOne = std::function<double(double p, double rank)>;

std::vector<double> step_down(std::span<const double> p, const AdjustOne& adjust) {
  std::vector<double> adjusted(p.size());
  double running = 0;
  double rank = 0;
  for (size_t i : ascending(p)) {
    running = std::max(running, std::min(1.0, adjust(p[i], ++rank)));
    adjusted[i] = running;
  }
  return adjusted;
}

std::vector<double> step_up(std::span<const double> p, const AdjustOne& adjust) {
  std::vector<double> adjusted(p.size());
  auto order = ascending(p);
  double running = 1;
  for (size_t k = order.size(); k-- > 0;) {
    running = std::min(running, adjust(p[order[k]], static_cast<double>(k + 1)));
    adjusted[order[k]] = running;
  }
  return adjusted;
}

// 1 - (1 - p)^n without losing small p.
double any_of(double p, double n) { return -std::expm1(n * std::log1p(-p)); }

}  // namespace

std::vector<double> adjust_bonferroni(std::span<const double> p) {
  std::vector<double> adjusted(p.begin(), p.end());
  for (double& value : adjusted) {
    value = std::min(1.0, value * static_cast<double>(p.size()));
  }
  return adjusted;
}

std::vector<double> adjust_holm(std::span<const double> p) {
  auto n = static_cast<double>(p.size());
  return step_down(p, [n](double value, double rank) { return value * (n - rank + 1); });
}

std::vector<double> adjust_sidak(std::span<const double> p) {
  std::vector<double> adjusted(p.begin(), p.end());
  for (double& value : adjusted) {
    value = any_of(value, static_cast<double>(p.size()));
  }
  return adjusted;
}

std::vector<double> adjust_holm_sidak(std::span<const double> p) {
  auto n = static_cast<double>(p.size());
  return step_down(p, [n](double value, double rank) { return any_of(value, n - rank + 1); });
}

std::vector<double> adjust_hochberg(std::span<const double> p) {
  auto n = static_cast<double>(p.size());
  return step_up(p, [n](double value, double rank) { return value * (n - rank + 1); });
}

std::vector<double> adjust_hommel(std::span<const double> p) {
  // Wright (1992), algorithm for adjusted p-values of Hommel's procedure.
  auto order = ascending(p);
  size_t n = p.size();
  std::vector<double> sorted(n);
  for (size_t i = 0; i < n; ++i) {
    sorted[i] = p[order[i]];
  }
  auto adjusted = sorted;
  for (size_t m = n; m > 1; --m) {
    double smallest = 1;
    for (size_t i = n - m + 1; i < n; ++i) {
      smallest = std::min(smallest, static_cast<double>(m) * sorted[i] / static_cast<double>(m + i - n + 1));
    }
    for (size_t i = n - m + 1; i < n; ++i) {
      adjusted[i] = std::max(adjusted[i], smallest);
    }
    for (size_t i = 0; i < n - m + 1; ++i) {
      adjusted[i] = std::max(adjusted[i], std::min(smallest, static_cast<double>(m) * sorted[i]));
    }
  }
  std::vector<double> result(n);
  for (size_t i = 0; i < n; ++i) {
    result[order[i]] = adjusted[i];
  }
  return result;
}

std::vector<double> adjust_benjamini_hochberg(std::span<const double> p) {
  auto n = static_cast<double>(p.size());
  return step_up(p, [n](double value, double rank) { return value * n / rank; });
}

std::vector<double> adjust_benjamini_yekutieli(std::span<const double> p) {
  double harmonic = 0;
  for (size_t i = 1; i <= p.size(); ++i) {
    harmonic += 1 / static_cast<double>(i);
  }
  auto n = static_cast<double>(p.size());
  return step_up(p, [n, harmonic](double value, double rank) { return value * n * harmonic / rank; });
}

}  // namespace melisma
