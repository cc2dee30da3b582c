#include "eval/metrics/mel_cepstrum.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <unsupported/Eigen/FFT>

#include "tools/base/error.h"

namespace melisma {
namespace cepstral_metric {
namespace {

constexpr double kDbPerDistance = 10 * std::numbers::sqrt2 / std::numbers::ln10;
constexpr int kMaxNewtonSteps = 60;

// What the analysis of every frame shares: cosines of the warped frequencies and the weights of the bins.
class CepstrumSolver {
 public:
  explicit CepstrumSolver(const MelCepstrumConfig& config)
      : config_(config), bins_(config.frame / 2 + 1), cosines_(2 * config.order + 1, bins_), weights_(bins_) {
    for (int64_t k = 0; k < bins_; ++k) {
      const double w = std::numbers::pi * static_cast<double>(k) / static_cast<double>(bins_ - 1);
      // The phase of the all-pass (z^-1 - alpha) / (1 - alpha z^-1).
      const double warped = w + 2 * std::atan2(config.alpha * std::sin(w), 1 - config.alpha * std::cos(w));
      for (int64_t m = 0; m < cosines_.rows(); ++m) cosines_(m, k) = std::cos(static_cast<double>(m) * warped);
      weights_(k) = (k == 0 || k == bins_ - 1 ? 1.0 : 2.0) / static_cast<double>(config.frame);
    }
    basis_mean_ = cosines_.topRows(config.order + 1) * weights_;
  }

  // periodogram [bins], positive -> coefficients [order + 1] that minimise mean(I / H^2 + ln H^2), which is convex.
  Eigen::VectorXd solve(const Eigen::VectorXd& periodogram) const {
    Eigen::VectorXd c = Eigen::VectorXd::Zero(config_.order + 1);
    c(0) = .5 * std::log(periodogram.dot(weights_));
    double value = objective(periodogram, c);
    for (int step = 0; step < kMaxNewtonSteps; ++step) {
      const Eigen::VectorXd ratio = ratio_of(periodogram, c).cwiseProduct(weights_);
      const Eigen::VectorXd moments = cosines_ * ratio;  // r(0) ... r(2 order)
      const Eigen::VectorXd gradient = 2 * (basis_mean_ - moments.head(config_.order + 1));
      const Eigen::VectorXd direction = -hessian(moments).ldlt().solve(gradient);
      const double slope = gradient.dot(direction);
      double length = 1;
      double next = objective(periodogram, c + direction);
      while (!(next <= value + .25 * length * slope) && length > 1e-6) {
        length /= 2;
        next = objective(periodogram, c + length * direction);
      }
      c += length * direction;
      value = next;
      if (-slope < 1e-12) break;
    }
    return c;
  }

 private:
  // I / H^2 with ln H = sum c_m cos(m warped).
  Eigen::VectorXd ratio_of(const Eigen::VectorXd& periodogram, const Eigen::VectorXd& c) const {
    const Eigen::VectorXd log_h = cosines_.topRows(config_.order + 1).transpose() * c;
    return (periodogram.array() * (-2 * log_h.array()).exp()).matrix();
  }
  double objective(const Eigen::VectorXd& periodogram, const Eigen::VectorXd& c) const {
    return ratio_of(periodogram, c).dot(weights_) + 2 * basis_mean_.dot(c);
  }
  // cos(m w) cos(n w) = (cos((m-n) w) + cos((m+n) w)) / 2: Toeplitz plus Hankel of the moments.
  Eigen::MatrixXd hessian(const Eigen::VectorXd& moments) const {
    Eigen::MatrixXd h(config_.order + 1, config_.order + 1);
    for (int64_t m = 0; m <= config_.order; ++m) {
      for (int64_t n = 0; n <= config_.order; ++n) h(m, n) = 2 * (moments(std::abs(m - n)) + moments(m + n));
    }
    return h;
  }

  MelCepstrumConfig config_;
  int64_t bins_;
  Eigen::MatrixXd cosines_;  // [2 order + 1, bins]
  Eigen::VectorXd weights_, basis_mean_;
};

// Blackman over [0, frame - 1], scaled to unit power.
std::vector<double> unit_power_blackman(int64_t frame) {
  std::vector<double> window;
  double energy = 0;
  for (int64_t i = 0; i < frame; ++i) {
    const double phase = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(frame - 1);
    window.push_back(.42 - .5 * std::cos(phase) + .08 * std::cos(2 * phase));
    energy += window.back() * window.back();
  }
  for (double& value : window) value /= std::sqrt(energy);
  return window;
}

double distance(std::span<const double> a, std::span<const double> b, int64_t first_column) {
  double sum = 0;
  for (auto i = static_cast<std::size_t>(first_column); i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

void check_widths(const Cepstra& reference, const Cepstra& estimate) {
  if (reference.width != estimate.width) {
    fail(ErrorKind::internal, "mel-cepstral distortion: {} coefficients against {}; expected equally many",
         reference.width, estimate.width);
  }
}

enum class Step : std::uint8_t { diagonal, reference, estimate };

std::vector<std::pair<int64_t, int64_t>> trace_back(const std::vector<Step>& steps, int64_t n, int64_t m) {
  std::vector<std::pair<int64_t, int64_t>> path;
  for (int64_t i = n - 1, j = m - 1; i >= 0 && j >= 0;) {
    path.emplace_back(i, j);
    const auto step = i == 0 ? Step::estimate : j == 0 ? Step::reference : steps[static_cast<std::size_t>(i * m + j)];
    i -= step != Step::estimate;
    j -= step != Step::reference;
  }
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace
}  // namespace cepstral_metric

Cepstra mel_cepstra(std::span<const double> wave, const MelCepstrumConfig& config) {
  const cepstral_metric::CepstrumSolver solver(config);
  const auto window = cepstral_metric::unit_power_blackman(config.frame);
  const auto n = static_cast<int64_t>(wave.size());
  Cepstra result;
  result.width = config.order + 1;
  result.n_frames = n == 0 ? 0 : n / config.hop + 1;
  result.values.resize(static_cast<std::size_t>(result.n_frames * result.width));
#pragma omp parallel
  {
    Eigen::FFT<double> fft;
    std::vector<double> frame(static_cast<std::size_t>(config.frame));
    std::vector<std::complex<double>> spectrum;
#pragma omp for
    for (int64_t t = 0; t < result.n_frames; ++t) {
      for (std::size_t i = 0; i < frame.size(); ++i) {
        const auto at = t * config.hop - config.frame / 2 + static_cast<int64_t>(i);
        frame[i] = at < 0 || at >= n ? 0 : window[i] * wave[static_cast<std::size_t>(at)];
      }
      fft.fwd(spectrum, frame);
      Eigen::VectorXd periodogram(config.frame / 2 + 1);
      for (int64_t k = 0; k < periodogram.size(); ++k) {
        periodogram(k) = std::norm(spectrum[static_cast<std::size_t>(k)]) + config.floor;
      }
      const Eigen::VectorXd c = solver.solve(periodogram);
      std::copy(c.begin(), c.end(), result.values.begin() + t * result.width);
    }
  }
  return result;
}

WarpingPath warp(const Cepstra& reference, const Cepstra& estimate, int64_t first_column) {
  using cepstral_metric::Step;
  cepstral_metric::check_widths(reference, estimate);
  const auto n = reference.n_frames, m = estimate.n_frames;
  if (n == 0 || m == 0) return {};
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<Step> steps(static_cast<std::size_t>(n * m), Step::diagonal);
  std::vector<double> above(static_cast<std::size_t>(m), kInfinity), row(static_cast<std::size_t>(m), kInfinity);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < m; ++j) {
      const auto at = static_cast<std::size_t>(j);
      const double diagonal = i == 0 && j == 0 ? 0 : j == 0 ? kInfinity : above[at - 1];
      const double from_reference = above[at], from_estimate = j == 0 ? kInfinity : row[at - 1];
      auto best = diagonal;
      auto step = Step::diagonal;
      if (from_reference < best) best = from_reference, step = Step::reference;
      if (from_estimate < best) best = from_estimate, step = Step::estimate;
      row[at] = best + cepstral_metric::distance(reference.frame(i), estimate.frame(j), first_column);
      steps[static_cast<std::size_t>(i * m + j)] = step;
    }
    std::swap(row, above);
  }
  return {above.back(), cepstral_metric::trace_back(steps, n, m)};
}

double mel_cepstral_distortion_db(const Cepstra& reference, const Cepstra& estimate, bool warped,
                                  int64_t first_column) {
  cepstral_metric::check_widths(reference, estimate);
  const auto shared = std::min(reference.n_frames, estimate.n_frames);
  if (shared == 0) return std::numeric_limits<double>::quiet_NaN();
  if (warped) {
    const auto path = warp(reference, estimate, first_column);
    return cepstral_metric::kDbPerDistance * path.cost / static_cast<double>(path.steps.size());
  }
  double sum = 0;
  for (int64_t t = 0; t < shared; ++t) {
    sum += cepstral_metric::distance(reference.frame(t), estimate.frame(t), first_column);
  }
  return cepstral_metric::kDbPerDistance * sum / static_cast<double>(shared);
}

}  // namespace melisma
