#include "data/effects/biquad.h"

#include <cmath>
#include <numbers>

namespace melisma {
namespace {

struct Angle {
  double cosine, alpha;
  Angle(double frequency_hz, double q, double sample_rate_hz) {
    const double w = 2 * std::numbers::pi * frequency_hz / sample_rate_hz;
    cosine = std::cos(w);
    alpha = std::sin(w) / (2 * q);
  }
};

Section normalised(double b0, double b1, double b2, double a0, double a1, double a2) {
  return {.b0 = b0 / a0, .b1 = b1 / a0, .b2 = b2 / a0, .a1 = a1 / a0, .a2 = a2 / a0};
}

// Square root of the gain as an amplitude.
double root_gain(double gain_db) { return std::pow(10.0, gain_db / 40); }

// Both shelves are one formula but for the sign of every cosine (and of the odd coefficients).
Section shelf(const Angle& angle, double gain_db, double side) {
  const double a = root_gain(gain_db), c = side * angle.cosine, beta = 2 * std::sqrt(a) * angle.alpha;
  return normalised(a * (a + 1 - (a - 1) * c + beta), side * 2 * a * (a - 1 - (a + 1) * c),
                    a * (a + 1 - (a - 1) * c - beta), a + 1 + (a - 1) * c + beta, -side * 2 * (a - 1 + (a + 1) * c),
                    a + 1 + (a - 1) * c - beta);
}

}  // namespace

Section peak_section(double frequency_hz, double q, double gain_db, double sample_rate_hz) {
  const Angle angle(frequency_hz, q, sample_rate_hz);
  const double a = root_gain(gain_db);
  return normalised(1 + angle.alpha * a, -2 * angle.cosine, 1 - angle.alpha * a, 1 + angle.alpha / a, -2 * angle.cosine,
                    1 - angle.alpha / a);
}

Section low_shelf_section(double frequency_hz, double q, double gain_db, double sample_rate_hz) {
  return shelf(Angle(frequency_hz, q, sample_rate_hz), gain_db, 1);
}

Section high_shelf_section(double frequency_hz, double q, double gain_db, double sample_rate_hz) {
  return shelf(Angle(frequency_hz, q, sample_rate_hz), gain_db, -1);
}

Section low_pass_section(double frequency_hz, double q, double sample_rate_hz) {
  const Angle angle(frequency_hz, q, sample_rate_hz);
  const double b = (1 - angle.cosine) / 2;
  return normalised(b, 2 * b, b, 1 + angle.alpha, -2 * angle.cosine, 1 - angle.alpha);
}

Section high_pass_section(double frequency_hz, double q, double sample_rate_hz) {
  const Angle angle(frequency_hz, q, sample_rate_hz);
  const double b = (1 + angle.cosine) / 2;
  return normalised(b, -2 * b, b, 1 + angle.alpha, -2 * angle.cosine, 1 - angle.alpha);
}

}  // namespace melisma
