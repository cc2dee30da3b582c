#include "infer/match/smoothing.h"

#include <algorithm>
#include <cmath>

namespace melisma {
namespace match_smoothing_detail {
namespace {

// Second derivatives at the points: the usual tridiagonal system, the first and the last one put into their
// neighbours' rows.
std::vector<double> second_derivatives(std::span<const double> x, std::span<const double> y) {
  const auto n = x.size();
  std::vector<double> h(n - 1), slope(n - 1);
  for (std::size_t i = 0; i + 1 < n; ++i) {
    h[i] = x[i + 1] - x[i];
    slope[i] = (y[i + 1] - y[i]) / h[i];
  }
  std::vector<double> below(n), middle(n), above(n), m(n);
  for (std::size_t i = 1; i + 1 < n; ++i) {
    below[i] = h[i - 1];
    middle[i] = 2 * (h[i - 1] + h[i]);
    above[i] = h[i];
    m[i] = 6 * (slope[i] - slope[i - 1]);
  }
  const double first = h[0] / h[1], last = h[n - 2] / h[n - 3];
  middle[1] += h[0] * (1 + first);
  above[1] -= h[0] * first;
  middle[n - 2] += h[n - 2] * (1 + last);
  below[n - 2] -= h[n - 2] * last;
  for (std::size_t i = 2; i + 1 < n; ++i) {
    const double factor = below[i] / middle[i - 1];
    middle[i] -= factor * above[i - 1];
    m[i] -= factor * m[i - 1];
  }
  m[n - 2] /= middle[n - 2];
  for (std::size_t i = n - 3; i >= 1; --i) m[i] = (m[i] - above[i] * m[i + 1]) / middle[i];
  m[0] = (1 + first) * m[1] - first * m[2];
  m[n - 1] = (1 + last) * m[n - 2] - last * m[n - 3];
  return m;
}

struct Neighbours {
  std::size_t first, last;  // [first, last)
};

// The straight line through the weighted neighbours of point i, at that point; its own value where fewer than two of
// them count.
double local_fit(std::span<const double> x, std::span<const double> y, std::span<const double> trust, std::size_t i,
                 Neighbours near, std::vector<double>& weights) {
  const auto cube = [](double v) { return v * v * v; };
  const double radius = std::max(x[i] - x[near.first], x[near.last - 1] - x[i]);
  double sum = 0;
  int n_counting = 0;
  for (auto j = near.first; j < near.last; ++j) {
    weights[j] = cube(1 - cube(std::abs(x[j] - x[i]) / radius)) * trust[j];
    sum += weights[j];
    n_counting += weights[j] > 1e-12 ? 1 : 0;
  }
  if (n_counting < 2) return y[i];
  double centre = 0, spread = 0, fit = 0;
  for (auto j = near.first; j < near.last; ++j) centre += (weights[j] /= sum) * x[j];
  for (auto j = near.first; j < near.last; ++j) spread += weights[j] * (x[j] - centre) * (x[j] - centre);
  const double tilt = (x[i] - centre) / std::max(spread, 1e-12);
  for (auto j = near.first; j < near.last; ++j) fit += weights[j] * (1 + tilt * (x[j] - centre)) * y[j];
  return fit;
}

// How far each point is trusted in the next round: bisquare of its residual over six times their median.
std::vector<double> trust_of(std::span<const double> y, std::span<const double> fit) {
  std::vector<double> residuals(y.size());
  for (std::size_t i = 0; i < y.size(); ++i) residuals[i] = std::abs(y[i] - fit[i]);
  auto sorted = residuals;
  std::ranges::sort(sorted);
  const auto half = sorted.size() / 2;
  const double median = sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  for (auto& residual : residuals) {
    const double relative = median == 0 ? (residual > 0 ? 1.0 : 0.0) : std::min(residual / (6 * median), 1.0);
    residual = (1 - relative * relative) * (1 - relative * relative);
  }
  return residuals;
}

// The next point to fit after `last`: the farthest within delta, but at least the next.
std::size_t next_fit(std::span<const double> x, std::size_t last, double delta) {
  const double reach = x[last] + delta;
  auto k = last + 1;
  while (k + 1 < x.size() && x[k] <= reach) ++k;
  return std::max(k - 1, last + 1);
}

std::vector<double> lowess_round(std::span<const double> x, std::span<const double> y, std::span<const double> trust,
                                 std::size_t n_near, double delta) {
  std::vector<double> fit(y.size()), weights(y.size());
  Neighbours near{0, n_near};
  std::size_t last = 0;
  for (std::size_t i = 0;; i = next_fit(x, last, delta)) {
    for (; near.last < x.size() && x[i] > (x[near.first] + x[near.last]) / 2; ++near.first, ++near.last) {
    }
    fit[i] = local_fit(x, y, trust, i, near, weights);
    for (auto j = last + 1; j < i; ++j) {
      const double share = (x[j] - x[last]) / (x[i] - x[last]);
      fit[j] = share * fit[i] + (1 - share) * fit[last];
    }
    last = i;
    if (last + 1 >= x.size()) return fit;
  }
}

}  // namespace
}  // namespace match_smoothing_detail

std::vector<double> cubic_spline(std::span<const double> x, std::span<const double> y, std::span<const double> at) {
  const auto m = match_smoothing_detail::second_derivatives(x, y);
  std::vector<double> values(at.size());
  std::size_t i = 0;
  for (std::size_t k = 0; k < at.size(); ++k) {
    while (i + 2 < x.size() && at[k] >= x[i + 1]) ++i;
    const double h = x[i + 1] - x[i], t = at[k] - x[i];
    const double slope = (y[i + 1] - y[i]) / h - h * (2 * m[i] + m[i + 1]) / 6;
    values[k] = y[i] + t * (slope + t * (m[i] / 2 + t * (m[i + 1] - m[i]) / (6 * h)));
  }
  return values;
}

std::vector<double> lowess(std::span<const double> y, double share, int rounds, double delta) {
  using namespace match_smoothing_detail;
  const auto n = y.size();
  std::vector<double> x(n), trust(n, 1), fit;
  const double step = 1 / static_cast<double>(n - 1);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<double>(i) * step;
  x.back() = 1;
  const auto n_near = std::clamp<std::size_t>(static_cast<std::size_t>(share * static_cast<double>(n) + 1e-10), 2, n);
  for (int round = 0; round <= rounds; ++round) {
    fit = lowess_round(x, y, trust, n_near, delta);
    trust = trust_of(y, fit);
  }
  return fit;
}

std::vector<double> smooth_ratio(std::span<const double> ratio, const MatchConfig& config) {
  const auto n_linear = ratio.size(), n_log = (n_linear - 1) * static_cast<std::size_t>(config.oversampling) + 1;
  std::vector<double> linear(n_linear), logarithmic(n_log);
  for (std::size_t k = 0; k < n_linear; ++k) linear[k] = static_cast<double>(k) / static_cast<double>(n_linear - 1);
  const double lowest = std::log10(4 / static_cast<double>(config.fft_size));
  for (std::size_t k = 0; k < n_log; ++k) {
    logarithmic[k] = std::pow(10.0, lowest * (1 - static_cast<double>(k) / static_cast<double>(n_log - 1)));
  }
  const auto over_octaves = cubic_spline(linear, ratio, logarithmic);
  const auto smooth = lowess(over_octaves, config.lowess_share, config.lowess_rounds, config.lowess_delta);
  auto result = cubic_spline(logarithmic, smooth, linear);
  result[0] = 0;
  result[1] = ratio[1];
  return result;
}

}  // namespace melisma
