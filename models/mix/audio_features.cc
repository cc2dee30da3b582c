#include "models/mix/audio_features.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <map>
#include <mutex>

#include "data/audio/k_weighting.h"
#include "data/signal/stft.h"
#include "data/signal/stft_loss.h"
#include "models/mix/effects.h"

namespace melisma {
namespace mix_features {
namespace {

constexpr double kLeastEnergy = 1e-8;

at::Tensor energy(const at::Tensor& wave) { return wave.square().mean(-1); }

double bark_of_hz(double hz) {
  const double bark = 26.81 * hz / (1960 + hz) - .53;
  if (bark < 2) return bark + .15 * (2 - bark);
  return bark > 20.1 ? bark + .22 * (bark - 20.1) : bark;
}

at::Tensor bank_at(std::int64_t sample_rate_hz, const at::TensorOptions& options) {
  static std::mutex mutex;
  static std::map<std::int64_t, at::Tensor> cache;
  const std::lock_guard lock(mutex);
  auto& bank = cache[sample_rate_hz];
  if (!bank.defined()) bank = bark_filter_bank(sample_rate_hz);
  return bank.to(options);
}

// wave [..., N] -> K-weighted, filtered in frequency.
at::Tensor k_weighted(const at::Tensor& wave, std::int64_t sample_rate_hz) {
  const auto points = filtering_points(wave.size(-1));
  at::Tensor whole;
  for (const auto& section : k_weighting(sample_rate_hz)) {
    const auto over = at::tensor({section.b0, section.b1, section.b2}, at::kDouble);
    const auto under = at::tensor({1.0, section.a1, section.a2}, at::kDouble);
    const auto response = at::fft_rfft(over, points) / at::fft_rfft(under, points);
    whole = whole.defined() ? whole * response : response;
  }
  const auto spectrum = at::fft_rfft(wave, points);
  return at::fft_irfft(spectrum * whole.to(spectrum.options()), points).narrow(-1, 0, wave.size(-1));
}

at::Tensor lufs_of_energy(const at::Tensor& energy) { return energy.clamp_min(1e-12).log10() * 10 - .691; }

}  // namespace
}  // namespace mix_features

at::Tensor mix_rms(const at::Tensor& wave) {
  return mix_features::energy(wave).clamp_min(mix_features::kLeastEnergy).sqrt();
}

at::Tensor mix_crest_db(const at::Tensor& wave) {
  const auto peak = wave.abs().amax({-1});
  return (peak / mix_rms(wave)).clamp_min(1e-8).log10() * 20;
}

at::Tensor mix_width(const at::Tensor& wave) {
  const auto energies = mix_features::energy(sum_and_difference(wave));
  return energies.select(-1, 1) / energies.select(-1, 0).clamp_min(mix_features::kLeastEnergy);
}

at::Tensor mix_imbalance(const at::Tensor& wave) {
  const auto energies = mix_features::energy(wave);
  const auto left = energies.select(-1, 0), right = energies.select(-1, 1);
  return (right - left) / (right + left).clamp_min(mix_features::kLeastEnergy);
}

at::Tensor bark_filter_bank(std::int64_t sample_rate_hz, at::Tensor* corners_hz) {
  const c10::NoGradGuard no_grad;
  constexpr double kLowHz = 20, kHighHz = 20000;
  const double low = mix_features::bark_of_hz(kLowHz), high = mix_features::bark_of_hz(kHighHz);
  // In float, as the published filters are made.
  const auto bark = at::linspace(low, high, kBarkBands + 2, at::kFloat);
  const auto straightened = at::where(bark < 2, (bark - .3) / .85, bark);
  const auto hz = 1960 * ((straightened + .53) / (26.28 - straightened));
  if (corners_hz != nullptr) *corners_hz = hz;
  const auto axis = at::linspace(0, static_cast<double>(sample_rate_hz / 2), kBarkFft / 2 + 1, at::kFloat);
  const auto widths = (hz.narrow(0, 1, kBarkBands + 1) - hz.narrow(0, 0, kBarkBands + 1)).unsqueeze(1);
  const auto rising = (axis - hz.narrow(0, 0, kBarkBands).unsqueeze(1)) / widths.narrow(0, 0, kBarkBands);
  const auto falling = (hz.narrow(0, 2, kBarkBands).unsqueeze(1) - axis) / widths.narrow(0, 1, kBarkBands);
  return at::minimum(rising, falling).clamp_min(0).to(at::kDouble);
}

at::Tensor mix_bark_spectrum(const at::Tensor& wave, std::int64_t sample_rate_hz) {
  const auto spectrum =
      stft(sum_and_difference(wave), {.n_fft = kBarkFft, .hop = kBarkHop, .window = kBarkFft});  // [B, 2, bins, frames]
  const auto means = at::abs(spectrum).mean(-1);                                                 // [B, 2, bins]
  const auto bank = mix_features::bank_at(sample_rate_hz, means.options());
  return (at::matmul(means, bank.t()) + 1e-8).log().transpose(-1, -2);
}

at::Tensor mix_lufs(const at::Tensor& wave, std::int64_t sample_rate_hz) {
  const auto weighted = mix_features::k_weighted(wave, sample_rate_hz);
  const auto block = std::min(sample_rate_hz * 2 / 5, wave.size(-1)), hop = std::max<std::int64_t>(block / 4, 1);
  const auto energies = weighted.square().sum(-2).unfold(-1, block, hop).mean(-1);  // [B, blocks]
  const auto mean_over = [&](const at::Tensor& counted) {
    const auto weights = counted.to(energies.scalar_type());
    return (energies * weights).sum(-1) / weights.sum(-1).clamp_min(1);
  };
  at::Tensor counted;
  {
    const c10::NoGradGuard no_grad;
    constexpr double kSilentLufs = -70, kBelowMeanLu = 10;
    const auto levels = mix_features::lufs_of_energy(energies);
    counted = levels > kSilentLufs;
    const auto gate = mix_features::lufs_of_energy(mean_over(counted)) - kBelowMeanLu;
    counted = counted.logical_and(levels > gate.unsqueeze(-1));
  }
  return mix_features::lufs_of_energy(mean_over(counted));
}

}  // namespace melisma
