#include "eval/statistics/mann_kendall.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace melisma {

MannKendall mann_kendall(std::span<const double> values) {
  MannKendall result;
  const auto n = static_cast<double>(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t j = i + 1; j < values.size(); ++j) {
      result.s += static_cast<double>(values[j] > values[i]) - static_cast<double>(values[j] < values[i]);
    }
  }
  result.variance = n * (n - 1) * (2 * n + 5) / 18;
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  for (auto it = sorted.begin(); it != sorted.end();) {
    const auto next = std::upper_bound(it, sorted.end(), *it);
    const auto tied = static_cast<double>(next - it);
    result.variance -= tied * (tied - 1) * (2 * tied + 5) / 18;
    it = next;
  }
  if (result.variance <= 0) return result;
  const double corrected = result.s > 0 ? result.s - 1 : result.s < 0 ? result.s + 1 : 0;
  result.z = corrected / std::sqrt(result.variance);
  result.p_rising = 0.5 * std::erfc(result.z / std::numbers::sqrt2);
  return result;
}

}  // namespace melisma
