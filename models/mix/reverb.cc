#include "models/mix/reverb.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "models/mix/effects.h"
#include "tools/base/error.h"
#include "tools/base/seed.h"

namespace melisma {
namespace mix_reverb {
namespace {

constexpr std::array kOctavesHz{31.5, 63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0};
constexpr double kLowestHz = 12, kHighestHz = 18000;
constexpr std::int64_t kTaps = 1023;

double sinc(double x) { return x == 0 ? 1 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x); }

// Taps that pass low ... high (parts of Nyquist), with unit gain at `unit`.
std::vector<float> band_pass(std::int64_t n_taps, double low, double high, double unit) {
  std::vector<double> taps(static_cast<std::size_t>(n_taps));
  const double middle = static_cast<double>(n_taps - 1) / 2;
  double sum = 0;
  for (std::int64_t i = 0; i < n_taps; ++i) {
    const double m = static_cast<double>(i) - middle;
    const double window = .54 - .46 * std::cos(std::numbers::pi * static_cast<double>(i) / middle);
    const double tap = window * (high * sinc(high * m) - low * sinc(low * m));
    taps[static_cast<std::size_t>(i)] = tap;
    sum += tap * std::cos(std::numbers::pi * m * unit);
  }
  std::vector<float> scaled(taps.size());
  std::ranges::transform(taps, scaled.begin(), [&](double tap) { return static_cast<float>(tap / sum); });
  return scaled;
}

}  // namespace
}  // namespace mix_reverb

at::Tensor octave_filter_bank(std::int64_t n_taps, double sample_rate_hz) {
  using namespace mix_reverb;
  const double nyquist = sample_rate_hz / 2;
  if (n_taps < 3 || n_taps % 2 == 0 || nyquist <= kHighestHz) {
    fail(ErrorKind::config, "reverb: {} taps at {} Hz; expected an odd number of taps and more than {} Hz", n_taps,
         sample_rate_hz, 2 * kHighestHz);
  }
  std::vector<std::vector<float>> filters{band_pass(n_taps, 0, kLowestHz / nyquist, 0)};
  for (const double centre : kOctavesHz) {
    const double low = centre / std::numbers::sqrt2 / nyquist;
    const double high = std::min(centre * std::numbers::sqrt2 / nyquist, .999);
    filters.push_back(band_pass(n_taps, low, high, (low + high) / 2));
  }
  filters.push_back(band_pass(n_taps, kHighestHz / nyquist, 1, 1));
  auto bank = at::empty({kReverbBands, n_taps}, at::kDouble);
  for (std::int64_t band = 0; band < kReverbBands; ++band) {
    std::ranges::copy(filters[static_cast<std::size_t>(band)], bank[band].data_ptr<double>());
  }
  return bank;
}

at::Tensor octave_noise(const at::Tensor& white, std::int64_t n_taps, double sample_rate_hz) {
  const auto n = white.size(-1) - n_taps + 1;
  const auto points = filtering_points((white.size(-1) + n_taps) / 2 + 1);
  const auto bank = octave_filter_bank(n_taps, sample_rate_hz).to(white.options());
  return at::fft_irfft(at::fft_rfft(white, points) * at::fft_rfft(bank, points), points)
      .narrow(-1, n_taps - 1, n)
      .contiguous();
}

at::Tensor reverb_noise(std::uint64_t seed, std::int64_t n_samples, double sample_rate_hz) {
  const c10::NoGradGuard no_grad;
  auto generator = at::detail::createCPUGenerator(seed_of(seed, "reverb"));
  const auto white = at::randn({2, kReverbBands, n_samples + mix_reverb::kTaps - 1}, generator, at::TensorOptions());
  return octave_noise(white, mix_reverb::kTaps, sample_rate_hz);
}

at::Tensor room_response(const at::Tensor& noise, const at::Tensor& gains, const at::Tensor& decays) {
  const auto n = noise.size(-1);
  const auto time = at::linspace(0, 1, n, noise.options().dtype(at::kDouble)).to(gains.scalar_type());
  const auto envelopes = at::exp(-(decays * 10 + 1).unsqueeze(-1) * time) * gains.unsqueeze(-1);  // [..., 12, n]
  return (noise.to(gains.scalar_type()) * envelopes.unsqueeze(-3)).mean(-2);
}

at::Tensor in_room(const at::Tensor& x, const at::Tensor& response) {
  const auto n = x.size(-1);
  const auto used = response.narrow(-1, 0, std::min(n, response.size(-1)));
  std::int64_t points = 1;
  while (points < n + used.size(-1) - 1) points *= 2;
  return at::fft_irfft(at::fft_rfft(x, points) * at::fft_rfft(used, points), points).narrow(-1, 0, n);
}

}  // namespace melisma
