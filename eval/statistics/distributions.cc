#include "eval/statistics/distributions.h"

#include <cmath>
#include <limits>
#include <numbers>

namespace melisma {
namespace {

constexpr double kTiny = 1e-300;
constexpr double kEpsilon = 1e-16;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

double normal_density(double x) { return std::exp(-.5 * x * x) / std::sqrt(2 * std::numbers::pi); }

double guarded(double value) { return std::abs(value) < kTiny ? kTiny : value; }

// Modified Lentz evaluation of the continued fraction of I_x(a, b); converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  double c = 1;
  double d = 1 / guarded(1 - (a + b) * x / (a + 1));
  double fraction = d;
  for (int m = 1; m <= 10000; ++m) {
    double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / guarded(1 + even * d);
    c = guarded(1 + even / c);
    fraction *= d * c;
    double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / guarded(1 + odd * d);
    c = guarded(1 + odd / c);
    double change = d * c;
    fraction *= change;
    if (std::abs(change - 1) < kEpsilon) {
      break;
    }
  }
  return fraction;
}

double log_beta(double a, double b) { return std::lgamma(a) + std::lgamma(b) - std::lgamma(a + b); }

// Upper incomplete gamma ratio Q(a, x): series below a + 1, continued fraction above.
double incomplete_gamma_upper(double a, double x) {
  if (x <= 0) {
    return 1;
  }
  double scale = std::exp(a * std::log(x) - x - std::lgamma(a));
  if (x < a + 1) {
    double term = 1 / a;
    double sum = term;
    for (int n = 1; n < 10000 && term > sum * kEpsilon; ++n) {
      term *= x / (a + n);
      sum += term;
    }
    return 1 - scale * sum;
  }
  double b = x + 1 - a;
  double c = 1 / kTiny;
  double d = 1 / guarded(b);
  double fraction = d;
  for (int n = 1; n < 10000; ++n) {
    double step = -n * (n - a);
    b += 2;
    d = 1 / guarded(step * d + b);
    c = guarded(b + step / c);
    fraction *= d * c;
    if (std::abs(d * c - 1) < kEpsilon) {
      break;
    }
  }
  return scale * fraction;
}

}  // namespace

double normal_cdf(double x) { return .5 * std::erfc(-x / std::numbers::sqrt2); }

double normal_sf(double x) { return .5 * std::erfc(x / std::numbers::sqrt2); }

double normal_quantile(double p) {
  if (!(p >= 0 && p <= 1)) {
    return kNan;
  }
  if (p == 0 || p == 1) {
    return p == 0 ? -kInfinity : kInfinity;
  }
  // Work in the lower half, where the tail probability keeps its relative precision; mirror at the end.
  bool is_upper = p > .5;
  double tail = is_upper ? 1 - p : p;
  double t = std::sqrt(-2 * std::log(tail));
  double x = -(t - (2.30753 + .27061 * t) / (1 + t * (.99229 + .04481 * t)));  // Abramowitz & Stegun 26.2.22
  for (int i = 0; i < 6; ++i) {
    double error = (normal_cdf(x) - tail) / normal_density(x);
    x -= error / (1 + .5 * x * error);  // Halley's step
  }
  return is_upper ? -x : x;
}

double incomplete_beta(double a, double b, double x) {
  if (x <= 0 || x >= 1) {
    return x <= 0 ? 0 : 1;
  }
  double scale = std::exp(a * std::log(x) + b * std::log1p(-x) - log_beta(a, b));
  if (x < (a + 1) / (a + b + 2)) {
    return scale * beta_fraction(a, b, x) / a;
  }
  return 1 - scale * beta_fraction(b, a, 1 - x) / b;
}

double beta_quantile(double p, double a, double b) {
  if (!(p >= 0 && p <= 1)) {
    return kNan;
  }
  double low = 0;
  double high = 1;
  double x = a / (a + b);
  for (int i = 0; i < 200 && high - low > 1e-17; ++i) {
    double error = incomplete_beta(a, b, x) - p;
    (error > 0 ? high : low) = x;
    double density = std::exp((a - 1) * std::log(x) + (b - 1) * std::log1p(-x) - log_beta(a, b));
    double next = x - error / density;
    if (std::abs(next - x) <= 1e-16 * x) {
      break;
    }
    x = next > low && next < high ? next : .5 * (low + high);  // Newton, kept inside the bracket
  }
  return x;
}

double student_sf(double t, double freedom) {
  double tail = .5 * incomplete_beta(.5 * freedom, .5, freedom / (freedom + t * t));
  return t >= 0 ? tail : 1 - tail;
}

double student_quantile(double p, double freedom) {
  if (!(p > 0 && p < 1)) {
    return p == 0 ? -kInfinity : p == 1 ? kInfinity : kNan;
  }
  double tail = p > .5 ? 1 - p : p;
  // I_x(freedom / 2, 1/2) = 2 tail at x = freedom / (freedom + t^2); near x = 1 the mirrored variable keeps the digits.
  double t = 0;
  if (tail < .5) {
    double y = beta_quantile(1 - 2 * tail, .5, .5 * freedom);
    t = std::sqrt(freedom * y / (1 - y));
    double log_norm = log_beta(.5 * freedom, .5) + .5 * std::log(freedom);
    for (int i = 0; i < 3; ++i) {
      double density = std::exp(-.5 * (freedom + 1) * std::log1p(t * t / freedom) - log_norm);
      t += (student_sf(t, freedom) - tail) / density;
    }
  }
  return p > .5 ? t : -t;
}

double chi_squared_sf(double x, double freedom) { return incomplete_gamma_upper(.5 * freedom, .5 * x); }

double binomial_at_least(int64_t successes, int64_t n, double p) {
  if (successes <= 0 || successes > n) {
    return successes <= 0 ? 1 : 0;
  }
  return incomplete_beta(static_cast<double>(successes), static_cast<double>(n - successes + 1), p);
}

}  // namespace melisma
