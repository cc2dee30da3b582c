#include "experiments/report/spectrogram.h"

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>
#include <unsupported/Eigen/FFT>
#include <vector>

#include "tools/base/media.h"

namespace melisma {
namespace {

constexpr std::int64_t kWindowSamples = 1024;

double mel_of(double hz) { return 1127 * std::log1p(hz / 700); }
double hz_of(double mel) { return 700 * std::expm1(mel / 1127); }

// Power of the bins of each column's window, [columns][kWindowSamples / 2 + 1].
std::vector<std::vector<double>> powers_of(const Waveform& wave, std::int64_t columns) {
  const auto samples = wave.channel(0);
  const auto n = static_cast<std::int64_t>(samples.size());
  Eigen::FFT<float> fft;
  std::vector<float> frame(kWindowSamples);
  std::vector<std::complex<float>> spectrum;
  std::vector<std::vector<double>> powers;
  for (std::int64_t column = 0; column < columns; ++column) {
    const auto first = column * n / columns - kWindowSamples / 2;
    for (std::int64_t i = 0; i < kWindowSamples; ++i) {
      const auto at = first + i;
      const double hann = .5 - .5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / kWindowSamples);
      frame[static_cast<std::size_t>(i)] =
          at < 0 || at >= n ? 0.F : static_cast<float>(hann) * samples[static_cast<std::size_t>(at)];
    }
    fft.fwd(spectrum, frame);
    auto& row = powers.emplace_back();
    for (std::int64_t k = 0; k <= kWindowSamples / 2; ++k)
      row.push_back(std::norm(spectrum[static_cast<std::size_t>(k)]));
  }
  return powers;
}

// Loudest bin of [low, high) Hz, or the interpolated one where the band is narrower than a bin.
double band_power(const std::vector<double>& power, double low_hz, double high_hz, double hz_a_bin) {
  const double low = low_hz / hz_a_bin, high = high_hz / hz_a_bin;
  const auto last = static_cast<double>(power.size() - 1);
  if (high - low < 1) {
    const double at = std::clamp(.5 * (low + high), 0.0, last);
    const auto below = static_cast<std::size_t>(at);
    const auto above = std::min(below + 1, power.size() - 1);
    return power[below] + (at - static_cast<double>(below)) * (power[above] - power[below]);
  }
  double loudest = 0;
  for (double k = std::ceil(low); k < high && k <= last; ++k)
    loudest = std::max(loudest, power[static_cast<std::size_t>(k)]);
  return loudest;
}

// Dark violet through red to pale yellow: lightness rises evenly, so it also reads in grey.
std::array<std::uint8_t, 3> colour_of(double share) {
  static constexpr double kStops[][3] = {{4, 3, 18},    {50, 16, 92},    {114, 31, 129}, {182, 54, 121},
                                         {240, 96, 93}, {254, 159, 109}, {252, 236, 180}};
  const double at = std::clamp(share, 0.0, 1.0) * 6;
  const auto below = std::min<std::size_t>(5, static_cast<std::size_t>(at));
  std::array<std::uint8_t, 3> rgb{};
  for (std::size_t c = 0; c < 3; ++c) {
    const double mixed =
        kStops[below][c] + (at - static_cast<double>(below)) * (kStops[below + 1][c] - kStops[below][c]);
    rgb[c] = static_cast<std::uint8_t>(std::lround(mixed));
  }
  return rgb;
}

}  // namespace

std::string spectrogram_png(const Waveform& wave, const SpectrogramConfig& config) {
  const auto columns = std::clamp<std::int64_t>(wave.n_frames() / 64, 1, config.columns);
  const auto powers = powers_of(wave, columns);
  const double nyquist = static_cast<double>(std::max<std::int64_t>(1, wave.sample_rate_hz)) / 2;
  const double top_mel = mel_of(std::min(config.highest_hz, nyquist));
  const double hz_a_bin = 2 * nyquist / kWindowSamples;
  std::vector<double> decibels(static_cast<std::size_t>(config.rows * columns));
  double loudest = -200;
  for (std::int64_t row = 0; row < config.rows; ++row) {  // row 0 is the top of the picture
    const double step = top_mel / static_cast<double>(config.rows);
    const double low = hz_of(step * static_cast<double>(config.rows - 1 - row));
    const double high = hz_of(step * static_cast<double>(config.rows - row));
    for (std::int64_t column = 0; column < columns; ++column) {
      const double power = band_power(powers[static_cast<std::size_t>(column)], low, high, hz_a_bin);
      const double db = 10 * std::log10(std::max(power, 1e-20));
      decibels[static_cast<std::size_t>(row * columns + column)] = db;
      loudest = std::max(loudest, db);
    }
  }
  std::vector<std::uint8_t> rgb;
  rgb.reserve(decibels.size() * 3);
  for (const double db : decibels) {
    for (const auto part : colour_of(1 + (db - loudest) / config.range_db)) rgb.push_back(part);
  }
  return png_bytes(rgb, config.rows, columns);
}

}  // namespace melisma
