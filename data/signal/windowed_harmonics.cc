#include "data/signal/windowed_harmonics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>

#include "data/signal/vector.h"

namespace melisma {
namespace harmonics_detail {
namespace {

using Complex = std::complex<double>;
constexpr std::int64_t kLanes = 4;
constexpr int kMostHarmonics = 6;

// Four steps of a rotation, and the turn that takes each lane four steps further.
struct Phasor {
  Vec4 re, im;
  double turn_re, turn_im;

  Phasor(double start, double step) {
    const Complex turn = std::polar(1.0, step);
    Complex at = std::polar(1.0, start);
    for (int lane = 0; lane < kLanes; ++lane, at *= turn) re[lane] = at.real(), im[lane] = at.imag();
    const Complex four = turn * turn * turn * turn;
    turn_re = four.real(), turn_im = four.imag();
  }
};

struct Bin {
  Complex windowed, sloped;
};

double sum(const Vec4& v) { return (v[0] + v[1]) + (v[2] + v[3]); }

// The Fourier sums of two signals [n, a multiple of 4] at two angular frequencies.
MELISMA_CLONES void two_bins(const double* x, const double* y, std::int64_t n, double omega_a, double omega_b,
                             Bin& bin_a, Bin& bin_b) {
  const Phasor a(0, -omega_a), b(0, -omega_b);
  Vec4 a_re = a.re, a_im = a.im, b_re = b.re, b_im = b.im;
  Vec4 sums[8] = {};
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const auto xs = *vec4_at(x + i), ys = *vec4_at(y + i);
    sums[0] += xs * a_re, sums[1] += xs * a_im, sums[2] += ys * a_re, sums[3] += ys * a_im;
    sums[4] += xs * b_re, sums[5] += xs * b_im, sums[6] += ys * b_re, sums[7] += ys * b_im;
    const Vec4 next_a = a_re * a.turn_re - a_im * a.turn_im, next_b = b_re * b.turn_re - b_im * b.turn_im;
    a_im = a_im * a.turn_re + a_re * a.turn_im, a_re = next_a;
    b_im = b_im * b.turn_re + b_re * b.turn_im, b_re = next_b;
  }
  bin_a = {{sum(sums[0]), sum(sums[1])}, {sum(sums[2]), sum(sums[3])}};
  bin_b = {{sum(sums[4]), sum(sums[5])}, {sum(sums[6]), sum(sums[7])}};
}

// x [n] -> x times the Blackman window, and times its slope: half the difference of the window's neighbours, turned
// around. The window's argument runs from `start` on in steps of `step`.
MELISMA_CLONES void weigh(const double* x, std::int64_t n, double start, double step, double* windowed,
                          double* sloped) {
  const Phasor phasor(start, step);
  Vec4 re = phasor.re, im = phasor.im;
  const auto single = 0.5 * std::sin(step), twice = 0.16 * std::sin(2 * step);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const auto xs = *vec4_at(x + i);
    *vec4_at(windowed + i) = xs * (0.34 + 0.5 * re + 0.16 * re * re);
    *vec4_at(sloped + i) = xs * im * (single + twice * re);
    const Vec4 next = re * phasor.turn_re - im * phasor.turn_im;
    im = im * phasor.turn_re + re * phasor.turn_im, re = next;
  }
}

double blackman(double argument) { return 0.42 + 0.5 * std::cos(argument) + 0.08 * std::cos(2 * argument); }

}  // namespace
}  // namespace harmonics_detail

template <class Sample>
void WindowedHarmonics::cut_from(std::span<const Sample> signal, double rate_hz, double position_s, double f0_hz) {
  using namespace harmonics_detail;
  const auto half = static_cast<std::int64_t>(1.5 * rate_hz / f0_hz + 1);
  const auto n = 2 * half + 1, end = static_cast<std::int64_t>(signal.size());
  rate_hz_ = rate_hz;
  n_fft_ = std::int64_t{4} << static_cast<int>(std::log2(static_cast<double>(n)));
  padded_ = (n + kLanes - 1) / kLanes * kLanes;
  windowed_.resize(static_cast<std::size_t>(padded_));
  sloped_.resize(static_cast<std::size_t>(padded_));
  // The window lies one sample early: positions count from one in the definition, and the samples from zero.
  const auto first =
      static_cast<std::int64_t>(std::floor((position_s * rate_hz - static_cast<double>(half)) + 0.501)) - 1;
  auto* x = windowed_.data();
  for (std::int64_t i = 0; i < n; ++i) {
    const auto sample = signal[static_cast<std::size_t>(std::clamp<std::int64_t>(first + i, 0, end - 1))];
    x[i] = std::isfinite(sample) ? static_cast<double>(sample) : 0;
  }
  std::fill(x + n, x + padded_, 0.0);
  const auto step = 2 * std::numbers::pi / static_cast<double>(n);
  const auto start = (static_cast<double>(first) - position_s * rate_hz) * step;
  const auto head = x[0], tail = x[n - 1];
  weigh(x, padded_, start, step, x, sloped_.data());
  sloped_[0] = -head * blackman(start + step) / 2;  // outside the cut the window counts as zero
  sloped_[static_cast<std::size_t>(n - 1)] = tail * blackman(start + static_cast<double>(n - 2) * step) / 2;
}

void WindowedHarmonics::cut(std::span<const double> signal, double rate_hz, double position_s, double f0_hz) {
  cut_from(signal, rate_hz, position_s, f0_hz);
}

void WindowedHarmonics::cut(std::span<const float> signal, double rate_hz, double position_s, double f0_hz) {
  cut_from(signal, rate_hz, position_s, f0_hz);
}

WindowedHarmonics::Estimate WindowedHarmonics::estimate(double guess_hz, int n_harmonics) const {
  using namespace harmonics_detail;
  std::array<std::int64_t, kMostHarmonics + 1> index{};
  std::array<Bin, kMostHarmonics + 1> bins;
  const auto bin_hz = rate_hz_ / static_cast<double>(n_fft_);
  n_harmonics = std::min(n_harmonics, kMostHarmonics);
  for (int h = 0; h < n_harmonics; ++h) index[h] = static_cast<std::int64_t>(guess_hz / bin_hz * (h + 1) + 0.5);
  const auto omega = [&](int h) {
    return 2 * std::numbers::pi * static_cast<double>(index[h]) / static_cast<double>(n_fft_);
  };
  for (int h = 0; h < n_harmonics; h += 2) {
    two_bins(windowed_.data(), sloped_.data(), padded_, omega(h), omega(h + 1), bins[h], bins[h + 1]);
  }
  double numerator = 0, denominator = 0, deviation = 0;
  for (int h = 0; h < n_harmonics; ++h) {
    const auto power = std::norm(bins[h].windowed);
    const auto flux = (std::conj(bins[h].windowed) * bins[h].sloped).imag();
    const auto frequency =
        power == 0 ? 0.0 : static_cast<double>(index[h]) * bin_hz + flux / power * rate_hz_ / (2 * std::numbers::pi);
    const auto amplitude = std::sqrt(power);
    numerator += amplitude * frequency;
    denominator += amplitude * (h + 1);
    deviation += std::abs(frequency / (h + 1) - guess_hz) / guess_hz;
  }
  return {numerator / (denominator + 1e-12), deviation / std::max(n_harmonics, 1)};
}

}  // namespace melisma
