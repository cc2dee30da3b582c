#include "eval/metrics/intelligibility.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>
#include <numeric>
#include <unsupported/Eigen/FFT>

namespace melisma {
namespace intelligibility {
namespace {

constexpr int64_t kRateHz = 10000, kFrame = 256, kHop = 128, kTransform = 512, kBands = 15, kSegment = 30;
constexpr double kLowestBandHz = 150, kDynamicRangeDb = 40, kClipDb = 15;
constexpr double kTiny = std::numeric_limits<double>::epsilon();

// Hann without its zero ends.
Eigen::ArrayXd frame_window() {
  Eigen::ArrayXd window(kFrame);
  for (int64_t i = 0; i < kFrame; ++i) {
    window(i) = .5 - .5 * std::cos(2 * std::numbers::pi * static_cast<double>(i + 1) / (kFrame + 1));
  }
  return window;
}

// Windowed frames as columns, [kFrame, frames]: as many as start before the last whole one would (pystoi, Matlab).
Eigen::ArrayXXd frames_of(const Eigen::ArrayXd& wave) {
  const auto window = frame_window();
  const int64_t n = wave.size() < kFrame ? 0 : (wave.size() - kFrame + kHop - 1) / kHop;
  Eigen::ArrayXXd frames(kFrame, n);
  for (int64_t t = 0; t < n; ++t) frames.col(t) = window * wave.segment(t * kHop, kFrame);
  return frames;
}

Eigen::ArrayXd overlap_added(const Eigen::ArrayXXd& frames, const std::vector<int64_t>& kept) {
  const auto n = static_cast<int64_t>(kept.size());
  Eigen::ArrayXd wave = Eigen::ArrayXd::Zero(n == 0 ? 0 : (n - 1) * kHop + kFrame);
  for (int64_t t = 0; t < n; ++t) wave.segment(t * kHop, kFrame) += frames.col(kept[static_cast<std::size_t>(t)]);
  return wave;
}

// Both waves without the frames in which the reference is 40 dB under its loudest frame.
void remove_silence(Eigen::ArrayXd& reference, Eigen::ArrayXd& estimate) {
  const auto x = frames_of(reference), y = frames_of(estimate);
  Eigen::ArrayXd levels(x.cols());
  for (int64_t t = 0; t < x.cols(); ++t) levels(t) = 20 * std::log10(x.col(t).matrix().norm() + kTiny);
  std::vector<int64_t> kept;
  for (int64_t t = 0; t < x.cols(); ++t) {
    if (levels.maxCoeff() - kDynamicRangeDb - levels(t) < 0) kept.push_back(t);
  }
  reference = overlap_added(x, kept);
  estimate = overlap_added(y, kept);
}

// Third-octave envelopes [kBands, frames]: square roots of band powers.
Eigen::ArrayXXd envelopes_of(const Eigen::ArrayXd& wave) {
  const auto frames = frames_of(wave);
  const double hz_a_bin = static_cast<double>(kRateHz) / kTransform;
  const auto nearest_bin = [&](double hz) { return static_cast<int64_t>(std::lround(hz / hz_a_bin)); };
  Eigen::ArrayXXd envelopes(kBands, frames.cols());
  Eigen::FFT<double> fft;
  std::vector<double> padded(kTransform, 0.0);
  std::vector<std::complex<double>> spectrum;
  for (int64_t t = 0; t < frames.cols(); ++t) {
    for (int64_t i = 0; i < kFrame; ++i) padded[static_cast<std::size_t>(i)] = frames(i, t);
    fft.fwd(spectrum, padded);
    for (int64_t band = 0; band < kBands; ++band) {
      const auto low = nearest_bin(kLowestBandHz * std::exp2((2.0 * static_cast<double>(band) - 1) / 6));
      const auto high = nearest_bin(kLowestBandHz * std::exp2((2.0 * static_cast<double>(band) + 1) / 6));
      double power = 0;
      for (auto k = low; k < high; ++k) power += std::norm(spectrum[static_cast<std::size_t>(k)]);
      envelopes(band, t) = std::sqrt(power);
    }
  }
  return envelopes;
}

// Each row with zero mean and unit norm.
Eigen::ArrayXXd normalised_rows(Eigen::ArrayXXd rows) {
  rows.colwise() -= rows.rowwise().mean();
  return rows.colwise() / (rows.square().rowwise().sum().sqrt() + kTiny);
}

// Mean correlation of the bands' envelopes, the estimate's scaled to the reference's level and limited above it.
double segment_stoi(const Eigen::ArrayXXd& x, const Eigen::ArrayXXd& y) {
  const Eigen::ArrayXd scale = x.square().rowwise().sum().sqrt() / (y.square().rowwise().sum().sqrt() + kTiny);
  const Eigen::ArrayXXd limited = (y.colwise() * scale).min(x * (1 + std::pow(10, kClipDb / 20)));
  return (normalised_rows(x) * normalised_rows(limited)).sum() / kBands;
}

double segment_estoi(const Eigen::ArrayXXd& x, const Eigen::ArrayXXd& y) {
  const auto both_ways = [](const Eigen::ArrayXXd& segment) {
    const Eigen::ArrayXXd rows = normalised_rows(segment);
    return normalised_rows(rows.transpose());
  };
  return (both_ways(x) * both_ways(y)).sum() / kSegment;
}

// Modified Bessel function of the first kind, order 0, by its power series.
double bessel_i0(double x) {
  double term = 1, sum = 1;
  for (int k = 1; term > 1e-17 * sum; ++k) {
    term *= x * x / (4.0 * k * k);
    sum += term;
  }
  return sum;
}

std::vector<double> at_rate(std::span<const double> wave, int64_t sample_rate_hz) {
  if (sample_rate_hz == kRateHz) return {wave.begin(), wave.end()};
  const auto common = std::gcd(kRateHz, sample_rate_hz);
  return resample_as_octave(wave, kRateHz / common, sample_rate_hz / common);
}

}  // namespace
}  // namespace intelligibility

std::vector<double> kaiser_window(int64_t half_length, double beta) {
  std::vector<double> window;
  for (int64_t i = -half_length; i <= half_length; ++i) {
    const double at = half_length == 0 ? 0 : static_cast<double>(i) / static_cast<double>(half_length);
    window.push_back(intelligibility::bessel_i0(beta * std::sqrt(1 - at * at)) / intelligibility::bessel_i0(beta));
  }
  return window;
}

std::vector<double> resample_polyphase(std::span<const double> wave, int64_t up, int64_t down,
                                       std::span<const double> taps) {
  const auto n = static_cast<int64_t>(wave.size()), half = (static_cast<int64_t>(taps.size()) - 1) / 2;
  std::vector<double> result(static_cast<std::size_t>((n * up + down - 1) / down));
  for (int64_t k = 0; k < static_cast<int64_t>(result.size()); ++k) {
    // Tap half + k * down - i * up meets sample i.
    const auto first = std::max<int64_t>(0, (k * down - half + up - 1) / up);
    const auto last = std::min(n - 1, (k * down + half) / up);
    double sum = 0;
    for (auto i = first; i <= last; ++i) {
      sum += taps[static_cast<std::size_t>(half + k * down - i * up)] * wave[static_cast<std::size_t>(i)];
    }
    result[static_cast<std::size_t>(k)] = sum * static_cast<double>(up);
  }
  return result;
}

std::vector<double> resample_as_octave(std::span<const double> wave, int64_t up, int64_t down) {
  constexpr double kRejectionDb = 60;
  const double cutoff = .5 / static_cast<double>(std::max(up, down));
  const auto half = static_cast<int64_t>(std::ceil((kRejectionDb - 8) / (28.714 * cutoff / 10)));
  auto taps = kaiser_window(half, .1102 * (kRejectionDb - 8.7));
  for (int64_t i = -half; i <= half; ++i) {
    const double phase = 2 * std::numbers::pi * cutoff * static_cast<double>(i);
    taps[static_cast<std::size_t>(i + half)] *= i == 0 ? 1 : std::sin(phase) / phase;
  }
  const double sum = std::accumulate(taps.begin(), taps.end(), 0.0);
  for (double& tap : taps) tap /= sum;
  return resample_polyphase(wave, up, down, taps);
}

Intelligibility measure_intelligibility(std::span<const double> reference, std::span<const double> estimate,
                                        int64_t sample_rate_hz) {
  const auto n = std::min(reference.size(), estimate.size());
  const auto x_wave = intelligibility::at_rate(reference.first(n), sample_rate_hz);
  const auto y_wave = intelligibility::at_rate(estimate.first(n), sample_rate_hz);
  Eigen::ArrayXd x = Eigen::Map<const Eigen::ArrayXd>(x_wave.data(), static_cast<int64_t>(x_wave.size()));
  Eigen::ArrayXd y = Eigen::Map<const Eigen::ArrayXd>(y_wave.data(), static_cast<int64_t>(y_wave.size()));
  intelligibility::remove_silence(x, y);
  const auto x_bands = intelligibility::envelopes_of(x), y_bands = intelligibility::envelopes_of(y);
  const auto segments = x_bands.cols() - intelligibility::kSegment + 1;
  if (segments < 1) {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    return {kNone, kNone};
  }
  Intelligibility sum;
  for (int64_t t = 0; t < segments; ++t) {
    const Eigen::ArrayXXd a = x_bands.middleCols(t, intelligibility::kSegment);
    const Eigen::ArrayXXd b = y_bands.middleCols(t, intelligibility::kSegment);
    sum.stoi += intelligibility::segment_stoi(a, b);
    sum.estoi += intelligibility::segment_estoi(a, b);
  }
  return {sum.stoi / static_cast<double>(segments), sum.estoi / static_cast<double>(segments)};
}

}  // namespace melisma
