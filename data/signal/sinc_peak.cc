#include "data/signal/sinc_peak.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <utility>

#include "data/signal/vector.h"

namespace melisma {
namespace sinc_peak_detail {
namespace {

constexpr std::int64_t kLanes = 4;

// Sum over k < n of values[k * stride] (-1)^k (1 + cos(pi (u + k) / reach)) / (u + k), four k at a time.
MELISMA_CLONES double one_side(const double* values, std::int64_t stride, std::int64_t n, double u, double reach) {
  const auto step = std::polar(1.0, std::numbers::pi / reach);
  auto at = std::polar(1.0, std::numbers::pi * u / reach);
  Vec4 re, im, place, sum = {};
  for (int lane = 0; lane < kLanes; ++lane, at *= step) {
    re[lane] = at.real(), im[lane] = at.imag(), place[lane] = u + lane;
  }
  const auto turn = step * step * step * step;
  std::int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes) {
    const auto* v = values + k * stride;
    const Vec4 signed_values = {v[0], -v[stride], v[2 * stride], -v[3 * stride]};
    sum += signed_values * (1 + re) / place;
    const Vec4 next = re * turn.real() - im * turn.imag();
    im = im * turn.real() + re * turn.imag(), re = next;
    place += static_cast<double>(kLanes);
  }
  auto total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  for (int lane = 0; k < n; ++k, ++lane) {
    total += (lane % 2 == 0 ? 1 : -1) * values[k * stride] * (1 + re[lane]) / place[lane];
  }
  return total;
}

}  // namespace
}  // namespace sinc_peak_detail

double sinc_interpolated(std::span<const double> values, double x, std::int64_t depth) {
  using sinc_peak_detail::one_side;
  const auto last = static_cast<std::int64_t>(values.size()) - 1;
  const auto left = static_cast<std::int64_t>(std::floor(x));
  if (left < 0) return values.front();
  if (left >= last) return values.back();
  const auto share = x - static_cast<double>(left);
  if (share == 0) return values[static_cast<std::size_t>(left)];
  depth = std::min({depth, left + 1, last - left});
  // Both halves of the raised cosine end one sample behind the last one that counts.
  const auto scale = std::sin(std::numbers::pi * share) / (2 * std::numbers::pi), reach = static_cast<double>(depth);
  const auto* middle = values.data() + left;
  return scale * (one_side(middle, -1, depth, share, share + reach) +
                  one_side(middle + 1, 1, depth, 1 - share, 1 - share + reach));
}

// Brent's method: the top of the parabola through the three best points, or a golden section where that does not help.
SincPeak sinc_peak(std::span<const double> values, std::int64_t i, std::int64_t depth) {
  constexpr double kGolden = 0.3819660112501051, kTolerance = 1e-7;
  constexpr int kMostSteps = 60;
  const auto value = [&](double x) { return sinc_interpolated(values, x, depth); };
  const auto at = [&](std::int64_t k) { return SincPeak{static_cast<double>(k), values[static_cast<std::size_t>(k)]}; };
  auto low = static_cast<double>(i - 1), high = static_cast<double>(i + 1);
  auto best = at(i), second = at(i - 1), third = at(i + 1);
  if (second.value < third.value) std::swap(second, third);
  double step = high - low, before = step;  // the last move and the one before it
  for (int n = 0; n < kMostSteps; ++n) {
    const auto middle = (low + high) / 2;
    if (std::abs(best.place - middle) <= 2 * kTolerance - (high - low) / 2) break;
    const auto r = (best.place - second.place) * (best.value - third.value);
    const auto q = (best.place - third.place) * (best.value - second.value);
    const auto top = (best.place - third.place) * q - (best.place - second.place) * r, bottom = 2 * (r - q);
    const auto parabolic = bottom != 0 ? top / bottom : high - low;
    const auto target = best.place + parabolic;
    const bool is_useful = std::abs(parabolic) < std::abs(before) / 2 && target > low && target < high;
    before = step;
    if (is_useful) {
      step = parabolic;
      if (target - low < 2 * kTolerance || high - target < 2 * kTolerance)
        step = std::copysign(kTolerance, middle - best.place);
    } else {
      before = best.place < middle ? high - best.place : low - best.place;
      step = kGolden * before;
    }
    const auto place = best.place + (std::abs(step) >= kTolerance ? step : std::copysign(kTolerance, step));
    const SincPeak tried{place, value(place)};
    if (tried.value >= best.value) {
      (tried.place < best.place ? high : low) = best.place;
      third = second, second = best, best = tried;
    } else {
      (tried.place < best.place ? low : high) = tried.place;
      if (tried.value >= second.value || second.place == best.place) {
        third = second, second = tried;
      } else if (tried.value >= third.value || third.place == best.place || third.place == second.place) {
        third = tried;
      }
    }
  }
  return best;
}

}  // namespace melisma
