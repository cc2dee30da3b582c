#include "data/signal/a_weighting.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <numbers>

namespace melisma {
namespace a_weighting {
namespace {

constexpr double kCornersHz[] = {20.598997, 20.598997, 107.65265, 737.86223, 12194.217, 12194.217};
constexpr double kGainDb = 1.9997;  // makes it 0 dB at 1 kHz
constexpr int kPoints = 512;

// x sinc(x n) as numpy writes it: sin(pi n x) / (pi n), and x for n = 0.
double times_sinc(double x, int n) {
  const double phase = std::numbers::pi * n;
  return n == 0 ? x : std::sin(phase * x) / phase;
}

// The integral of (slope x + level) cos(pi n x) up to x.
double weighted_integral(double x, int n, double slope, double level) {
  if (n == 0) return x * (slope * x + level) - slope * x * x / 2;
  const double phase = std::numbers::pi * n;
  return (slope * x + level) * times_sinc(x, n) + slope * std::cos(phase * x) / (phase * phase);
}

}  // namespace
}  // namespace a_weighting

double a_weighting_gain(double frequency_hz, int64_t sample_rate_hz) {
  const auto rate = static_cast<double>(sample_rate_hz);
  const double analogue = 2 * rate * std::tan(std::numbers::pi * frequency_hz / rate);  // rad/s
  const double top = 2 * std::numbers::pi * a_weighting::kCornersHz[5];
  double gain = top * top * std::pow(10, a_weighting::kGainDb / 20) * std::pow(analogue, 4);
  for (const double corner : a_weighting::kCornersHz) gain /= std::hypot(analogue, 2 * std::numbers::pi * corner);
  return gain;
}

std::vector<double> a_weighting_taps(int64_t sample_rate_hz, int64_t n_taps) {
  using namespace a_weighting;
  const auto half = static_cast<int>(n_taps / 2);
  std::vector<double> overlap(static_cast<std::size_t>(n_taps), 0.0);  // of cosines n and 0 over the bands
  const c10::NoGradGuard no_grad;
  const auto target = at::zeros({half + 1, 1}, at::kDouble), system = at::empty({half + 1, half + 1}, at::kDouble);
  auto* wanted = target.data_ptr<double>();
  for (int point = 0; point < kPoints; point += 2) {  // a band between every second point and the next
    const double low = point / static_cast<double>(kPoints), high = (point + 1) / static_cast<double>(kPoints);
    const double nyquist_hz = static_cast<double>(sample_rate_hz) / 2;
    const double at_low = a_weighting_gain(low * nyquist_hz, sample_rate_hz);
    const double slope = (a_weighting_gain(high * nyquist_hz, sample_rate_hz) - at_low) / (high - low);
    const double level = at_low - slope * low;
    for (int n = 0; n < n_taps; ++n) overlap[static_cast<std::size_t>(n)] += times_sinc(high, n) - times_sinc(low, n);
    for (int n = 0; n <= half; ++n) {
      wanted[n] += weighted_integral(high, n, slope, level) - weighted_integral(low, n, slope, level);
    }
  }
  auto* cell = system.data_ptr<double>();
  for (int row = 0; row <= half; ++row) {
    for (int column = 0; column <= half; ++column) {
      *cell++ =
          overlap[static_cast<std::size_t>(std::abs(row - column))] + overlap[static_cast<std::size_t>(row + column)];
    }
  }
  const auto solved = at::linalg_solve(system, target).contiguous();
  const auto* amplitudes = solved.const_data_ptr<double>();
  std::vector<double> taps(static_cast<std::size_t>(n_taps));
  for (int n = -half; n <= half; ++n) taps[static_cast<std::size_t>(half + n)] = amplitudes[std::abs(n)];
  taps[static_cast<std::size_t>(half)] *= 2;
  return taps;
}

}  // namespace melisma
