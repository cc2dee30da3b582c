#include "data/audio/iir.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "tools/base/error.h"

namespace melisma {
namespace {

using Complex = std::complex<double>;

struct ZerosPolesGain {
  std::vector<Complex> zeros, poles;
  double gain = 1;
};

Complex product_of_negated(const std::vector<Complex>& roots) {
  Complex product = 1;
  for (const auto& root : roots) product *= -root;
  return product;
}

// The low-pass prototype with corner 1 rad/s: poles on the left half of the unit circle.
std::vector<Complex> prototype_poles(int order) {
  std::vector<Complex> poles;
  for (int m = -order + 1; m < order; m += 2) poles.push_back(-std::polar(1.0, std::numbers::pi * m / (2 * order)));
  return poles;
}

// Both roots that a prototype pole (or its inverse) becomes around a band centre.
void split_around(double centre, std::vector<Complex>& poles) {
  const auto n = poles.size();
  poles.resize(2 * n);
  for (std::size_t index = 0; index < n; ++index) {
    const Complex half_width = poles[index];
    const Complex distance = std::sqrt(half_width * half_width - centre * centre);
    poles[index] = half_width + distance;
    poles[n + index] = half_width - distance;
  }
}

// The analogue filter for corners already warped, in rad per unit.
ZerosPolesGain analogue(int order, FilterKind kind, std::span<const double> warped) {
  ZerosPolesGain design{.zeros = {}, .poles = prototype_poles(order)};
  const auto inverse_gain = product_of_negated(design.poles).real();
  const auto n = static_cast<std::size_t>(order);
  switch (kind) {
    case FilterKind::low:
      for (auto& pole : design.poles) pole *= warped[0];
      design.gain = std::pow(warped[0], order);
      break;
    case FilterKind::high:
      for (auto& pole : design.poles) pole = warped[0] / pole;
      design.zeros.assign(n, 0.0);
      design.gain = 1 / inverse_gain;
      break;
    case FilterKind::band: {
      const double width = warped[1] - warped[0];
      for (auto& pole : design.poles) pole *= width / 2;
      split_around(std::sqrt(warped[0] * warped[1]), design.poles);
      design.zeros.assign(n, 0.0);
      design.gain = std::pow(width, order);
      break;
    }
    case FilterKind::band_stop: {
      const double width = warped[1] - warped[0];
      const double centre = std::sqrt(warped[0] * warped[1]);
      for (auto& pole : design.poles) pole = width / 2 / pole;
      split_around(centre, design.poles);
      for (std::size_t index = 0; index < n; ++index)
        design.zeros.insert(design.zeros.end(), {{0, centre}, {0, -centre}});
      design.gain = 1 / inverse_gain;
      break;
    }
  }
  return design;
}

ZerosPolesGain bilinear(ZerosPolesGain design) {
  constexpr double kTwiceRate = 4;  // of a rate of 2, at which corners are fractions of Nyquist
  Complex numerator = 1, denominator = 1;
  for (auto& zero : design.zeros) {
    numerator *= kTwiceRate - zero;
    zero = (kTwiceRate + zero) / (kTwiceRate - zero);
  }
  for (auto& pole : design.poles) {
    denominator *= kTwiceRate - pole;
    pole = (kTwiceRate + pole) / (kTwiceRate - pole);
  }
  design.zeros.resize(design.poles.size(), -1.0);
  design.gain *= (numerator / denominator).real();
  return design;
}

ZerosPolesGain butterworth(int order, FilterKind kind, std::span<const double> corners_hz, double sample_rate_hz) {
  const std::size_t n_corners = kind == FilterKind::low || kind == FilterKind::high ? 1 : 2;
  if (order < 1 || corners_hz.size() != n_corners) {
    fail(ErrorKind::config, "a Butterworth filter of order {} with {} corners", order, corners_hz.size());
  }
  std::vector<double> warped;
  double previous = 0;
  for (const double corner : corners_hz) {
    if (!(corner > previous && corner < sample_rate_hz / 2)) {
      fail(ErrorKind::config, "a filter corner of {} Hz lies outside 0..{} Hz (half the sample rate) or out of order",
           corner, sample_rate_hz / 2);
    }
    warped.push_back(4 * std::tan(std::numbers::pi * corner / sample_rate_hz));
    previous = corner;
  }
  return bilinear(analogue(order, kind, warped));
}

// Coefficients of the product of (z - root).
std::vector<double> polynomial_of(const std::vector<Complex>& roots) {
  std::vector<Complex> coefficients{1.0};
  for (const auto& root : roots) {
    coefficients.push_back(0.0);
    for (std::size_t k = coefficients.size() - 1; k > 0; --k) coefficients[k] -= root * coefficients[k - 1];
  }
  std::vector<double> real;
  for (const auto& value : coefficients) real.push_back(value.real());
  return real;
}

// The numerator every section of a Butterworth filter shares; a single pole takes a single zero.
Section zeros_of_section(FilterKind kind, const Complex& first_zero, bool is_single) {
  const double sign = kind == FilterKind::low ? 1 : -1;
  if (is_single) return {.b0 = 1, .b1 = sign, .b2 = 0};
  if (kind == FilterKind::band) return {.b0 = 1, .b1 = 0, .b2 = -1};
  if (kind == FilterKind::band_stop) return {.b0 = 1, .b1 = -2 * first_zero.real(), .b2 = std::norm(first_zero)};
  return {.b0 = 1, .b1 = 2 * sign, .b2 = 1};
}

// States far below anything a float can show are set to rest: denormal arithmetic is a hundred times slower.
void rest_if_tiny(SectionState& state) {
  constexpr double kTiny = 1e-200;
  for (auto& pair : state) {
    for (auto& value : pair) value = std::abs(value) < kTiny ? 0.0 : value;
  }
}

// N sections in one pass, so that their chains of dependent operations overlap.
template <std::size_t N, class Real>
void run_sections(const Section* sections, std::span<Real> samples, std::array<double, 2>* state) {
  std::array<Section, N> c;
  std::array<std::array<double, 2>, N> z;
  std::copy_n(sections, N, c.begin());
  std::copy_n(state, N, z.begin());
  for (Real& sample : samples) {
    double value = sample;
    for (std::size_t k = 0; k < N; ++k) {
      const double in = value;
      value = c[k].b0 * in + z[k][0];
      z[k][0] = c[k].b1 * in - c[k].a1 * value + z[k][1];
      z[k][1] = c[k].b2 * in - c[k].a2 * value;
    }
    sample = static_cast<Real>(value);
  }
  std::copy_n(z.begin(), N, state);
}

template <class Real>
void filter_in_place(const Sections& sections, std::span<Real> samples, SectionState& state) {
  constexpr std::size_t kBlock = 8192;
  state.resize(sections.size(), {0.0, 0.0});
  for (; !samples.empty(); samples = samples.subspan(std::min(kBlock, samples.size()))) {
    const auto block = samples.first(std::min(kBlock, samples.size()));
    std::vector<double> exact(block.begin(), block.end());  // between sections nothing is rounded to float
    for (std::size_t k = 0; k < sections.size();) {
      const auto left = sections.size() - k;
      if (left >= 3) {
        run_sections<3, double>(&sections[k], exact, &state[k]);
        k += 3;
      } else {
        run_sections<1, double>(&sections[k], exact, &state[k]);
        k += 1;
      }
    }
    std::transform(exact.begin(), exact.end(), block.begin(), [](double value) { return static_cast<Real>(value); });
    rest_if_tiny(state);
  }
}

// What lies before and behind a signal when it is filtered both ways: `n_extra` samples of its point reflection at
// each end (scipy.signal._arraytools.odd_ext).
struct Ends {
  std::vector<double> head, tail;
};

template <class Real>
Ends odd_reflection(std::span<const Real> samples, std::size_t n_extra) {
  if (samples.size() <= n_extra) {
    fail(ErrorKind::data, "a signal of {} samples is too short to filter both ways: more than {} are needed",
         samples.size(), n_extra);
  }
  Ends ends;
  const double first = samples.front(), last = samples.back();
  for (std::size_t k = n_extra; k > 0; --k) ends.head.push_back(2 * first - samples[k]);
  for (std::size_t k = 1; k <= n_extra; ++k) ends.tail.push_back(2 * last - samples[samples.size() - 1 - k]);
  return ends;
}

SectionState settled_at(const Sections& sections, double level) {
  auto state = settled_state(sections);
  for (auto& pair : state) {
    for (auto& value : pair) value *= level;
  }
  return state;
}

// Forwards over head, samples and tail, then back over tail and samples: nothing behind them would be kept.
template <class Real>
void both_ways_in_place(const Sections& sections, std::span<Real> samples) {
  auto [head, tail] = odd_reflection(std::span<const Real>(samples), n_extension(sections));
  auto state = settled_at(sections, head.front());
  filter_sections(sections, head, state);
  filter_in_place(sections, samples, state);
  filter_sections(sections, tail, state);
  std::reverse(tail.begin(), tail.end());
  std::reverse(samples.begin(), samples.end());
  state = settled_at(sections, tail.front());
  filter_sections(sections, tail, state);
  filter_in_place(sections, samples, state);
  std::reverse(samples.begin(), samples.end());
}

}  // namespace

Sections butterworth_sections(int order, FilterKind kind, std::span<const double> corners_hz, double sample_rate_hz) {
  auto design = butterworth(order, kind, corners_hz, sample_rate_hz);
  // Conjugate pairs keep their upper member; real poles pair with each other, one may stay single.
  std::vector<Complex> upper;
  std::vector<double> real;
  for (const auto& pole : design.poles) {
    if (std::abs(pole.imag()) <= 1e-14 * std::abs(pole)) {
      real.push_back(pole.real());
    } else if (pole.imag() > 0) {
      upper.push_back(pole);
    }
  }
  std::sort(real.begin(), real.end());
  std::sort(upper.begin(), upper.end(), [](const auto& a, const auto& b) { return std::abs(a) < std::abs(b); });
  Sections sections;
  for (std::size_t index = 0; index < real.size(); index += 2) {
    const bool is_single = index + 1 == real.size();
    auto section = zeros_of_section(kind, design.zeros.front(), is_single);
    section.a1 = is_single ? -real[index] : -(real[index] + real[index + 1]);
    section.a2 = is_single ? 0 : real[index] * real[index + 1];
    sections.push_back(section);
  }
  for (const auto& pole : upper) {
    auto section = zeros_of_section(kind, design.zeros.front(), false);
    section.a1 = -2 * pole.real();
    section.a2 = std::norm(pole);
    sections.push_back(section);
  }
  for (double* b : {&sections.front().b0, &sections.front().b1, &sections.front().b2}) *b *= design.gain;
  return sections;
}

Polynomials butterworth_polynomials(int order, FilterKind kind, std::span<const double> corners_hz,
                                    double sample_rate_hz) {
  const auto design = butterworth(order, kind, corners_hz, sample_rate_hz);
  Polynomials filter{.b = polynomial_of(design.zeros), .a = polynomial_of(design.poles)};
  for (auto& value : filter.b) value *= design.gain;
  return filter;
}

SectionState settled_state(const Sections& sections) {
  SectionState state;
  double level = 1;  // of the constant that reaches the section
  for (const auto& s : sections) {
    const double out = level * (s.b0 + s.b1 + s.b2) / (1 + s.a1 + s.a2);
    state.push_back({out - s.b0 * level, s.b2 * level - s.a2 * out});
    level = out;
  }
  return state;
}

// Solves (I - companion(a)^T) z = b[1:] - a[1:] b[0] by elimination with row exchanges. A closed form exists, but this
// is what scipy does, and for low corners the rounding of the two differs in the eighth digit.
std::vector<double> settled_state(const Polynomials& filter) {
  const auto n = filter.b.size() - 1;
  std::vector<std::vector<double>> rows(n, std::vector<double>(n + 1, 0.0));  // the last column is the right side
  for (std::size_t k = 0; k < n; ++k) {
    rows[k][k] = 1;
    rows[k][0] += filter.a[k + 1];
    if (k + 1 < n) rows[k][k + 1] -= 1;
    rows[k][n] = filter.b[k + 1] - filter.a[k + 1] * filter.b[0];
  }
  for (std::size_t column = 0; column < n; ++column) {
    const auto larger = [&](const auto& x, const auto& y) { return std::abs(x[column]) < std::abs(y[column]); };
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(column);
    std::iter_swap(first, std::max_element(first, rows.end(), larger));
    for (std::size_t k = column + 1; k < n; ++k) {
      const double factor = rows[k][column] * (1 / rows[column][column]);  // LAPACK multiplies by the reciprocal
      for (std::size_t j = column; j <= n; ++j) rows[k][j] -= factor * rows[column][j];
    }
  }
  std::vector<double> state(n);
  for (std::size_t k = n; k-- > 0;) {
    double value = rows[k][n];
    for (std::size_t j = n; j-- > k + 1;) value -= rows[k][j] * state[j];
    state[k] = value / rows[k][k];
  }
  return state;
}

void filter_sections(const Sections& sections, std::span<double> samples, SectionState& state) {
  filter_in_place(sections, samples, state);
}

void filter_sections(const Sections& sections, std::span<float> samples, SectionState& state) {
  filter_in_place(sections, samples, state);
}

std::vector<double> filter_direct(const Polynomials& filter, std::span<const double> samples,
                                  std::vector<double> state) {
  const auto order = filter.b.size() - 1;
  state.resize(order + 1, 0.0);  // one zero behind the last, so that every step reads its successor
  state[order] = 0;
  std::vector<double> out;
  out.reserve(samples.size());
  for (const double in : samples) {
    const double value = state[0] + filter.b[0] * in;
    for (std::size_t k = 1; k <= order; ++k) state[k - 1] = state[k] + in * filter.b[k] - value * filter.a[k];
    out.push_back(value);
  }
  return out;
}

std::size_t n_extension(const Sections& sections) {
  const auto n_single = std::count_if(sections.begin(), sections.end(), [](const Section& s) { return s.b2 == 0; });
  return 3 * (2 * sections.size() + 1 - static_cast<std::size_t>(n_single));
}

std::vector<double> filter_both_ways(const Sections& sections, std::span<const double> samples) {
  std::vector<double> filtered(samples.begin(), samples.end());
  both_ways_in_place(sections, std::span<double>(filtered));
  return filtered;
}

void filter_both_ways_in_place(const Sections& sections, std::span<float> samples) {
  both_ways_in_place(sections, samples);
}

std::vector<double> filter_both_ways(const Polynomials& filter, std::span<const double> samples) {
  const auto n_extra = 3 * filter.b.size();
  auto [signal, tail] = odd_reflection(samples, n_extra);
  signal.insert(signal.end(), samples.begin(), samples.end());
  signal.insert(signal.end(), tail.begin(), tail.end());
  for (int pass = 0; pass < 2; ++pass) {
    auto state = settled_state(filter);
    for (auto& value : state) value *= signal.front();
    signal = filter_direct(filter, signal, std::move(state));
    std::reverse(signal.begin(), signal.end());
  }
  return {signal.begin() + static_cast<std::ptrdiff_t>(n_extra), signal.end() - static_cast<std::ptrdiff_t>(n_extra)};
}

std::vector<double> filter_both_ways_held(const Sections& sections, std::span<const double> samples,
                                          std::size_t n_tail) {
  if (samples.empty()) return {};
  std::vector<double> signal(samples.begin(), samples.end());
  signal.resize(samples.size() + n_tail, samples.back());
  for (const auto level : {samples.front(), samples.back()}) {
    auto state = settled_at(sections, level);
    filter_sections(sections, signal, state);
    std::reverse(signal.begin(), signal.end());
  }
  signal.resize(samples.size());
  return signal;
}

double response_db(const Sections& sections, double frequency_hz, double sample_rate_hz) {
  const Complex step = std::polar(1.0, -2 * std::numbers::pi * frequency_hz / sample_rate_hz);
  double decibels = 0;
  for (const auto& s : sections) {
    const auto numerator = s.b0 + step * (s.b1 + step * s.b2);
    const auto denominator = 1.0 + step * (s.a1 + step * s.a2);
    decibels += 20 * std::log10(std::abs(numerator) / std::abs(denominator));
  }
  return decibels;
}

HighPass::HighPass(std::int64_t sample_rate_hz, double corner_hz, int order)
    : sections_(
          butterworth_sections(order, FilterKind::high, std::array{corner_hz}, static_cast<double>(sample_rate_hz))) {}

}  // namespace melisma
