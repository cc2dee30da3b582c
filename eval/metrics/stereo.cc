#include "eval/metrics/stereo.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/base/error.h"

namespace melisma {

StereoImage stereo_image(std::span<const double> left, std::span<const double> right) {
  if (left.size() != right.size()) {
    fail(ErrorKind::internal, "stereo image: {} samples left and {} right; expected equally many", left.size(),
         right.size());
  }
  double ll = 0, rr = 0, lr = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    ll += left[i] * left[i];
    rr += right[i] * right[i];
    lr += left[i] * right[i];
  }
  const auto ratio = [](double a, double b) { return b > 0 ? a / b : std::numeric_limits<double>::quiet_NaN(); };
  const double width = ratio(ll + rr - 2 * lr, ll + rr + 2 * lr);
  return {.width = width,
          .mid_side_db = 10 * std::log10(width),
          .imbalance = ratio(rr - ll, rr + ll),
          .correlation = ratio(lr, std::sqrt(ll * rr))};
}

double rms(std::span<const double> samples) {
  double sum = 0;
  for (const double x : samples) sum += x * x;
  return std::sqrt(sum / static_cast<double>(samples.size()));
}

double crest_db(std::span<const double> samples) {
  double peak = 0;
  for (const double x : samples) peak = std::max(peak, std::abs(x));
  return peak > 0 ? 20 * std::log10(peak / rms(samples)) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace melisma
