#include "eval/metrics/spectral.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "data/signal/mel.h"
#include "data/signal/stft.h"
#include "eval/metrics/a_weighting.h"
#include "tools/base/error.h"

namespace melisma {
namespace spectral_metric {
namespace {

// wave [..., N] -> the same filtered, zeros around it
at::Tensor a_weighted(const at::Tensor& wave, int64_t sample_rate_hz) {
  const auto taps = at::tensor(a_weighting_taps(sample_rate_hz), wave.options()).view({1, 1, -1});
  return at::conv1d(wave.reshape({-1, 1, wave.size(-1)}), taps, {}, 1, taps.size(2) / 2).view(wave.sizes());
}

// wave [..., N] -> magnitudes [..., bins or bands, frames]
at::Tensor loss_magnitudes(const at::Tensor& wave, const StftLossConfig& config) {
  const auto heard = config.a_weighted ? a_weighted(wave, config.sample_rate_hz) : wave;
  const auto spectrum = stft(heard, {.n_fft = config.n_fft, .hop = config.hop, .window = config.window});
  const auto magnitudes = at::clamp_min(power(spectrum), config.floor).sqrt();
  if (config.n_mels == 0) return magnitudes;
  return to_mel(magnitudes, {.sample_rate_hz = config.sample_rate_hz, .n_fft = config.n_fft, .n_mels = config.n_mels});
}

at::Tensor mean_distance(const at::Tensor& a, const at::Tensor& b, bool squared) {
  const auto difference = a - b;
  return squared ? difference.square().mean() : difference.abs().mean();
}

}  // namespace
}  // namespace spectral_metric

at::Tensor stft_loss(const at::Tensor& estimate, const at::Tensor& reference, const StftLossConfig& config) {
  const auto x = spectral_metric::loss_magnitudes(estimate, config);
  const auto y = spectral_metric::loss_magnitudes(reference, config);
  auto loss = at::zeros({}, x.options());
  if (config.convergence != 0) loss = loss + config.convergence * (y - x).norm() / y.norm();
  if (config.log_magnitude != 0) {
    loss = loss + config.log_magnitude * spectral_metric::mean_distance(x.log(), y.log(), config.squared);
  }
  if (config.magnitude != 0) loss = loss + config.magnitude * spectral_metric::mean_distance(x, y, config.squared);
  return loss;
}

std::vector<StftLossConfig> multi_resolution_configs() {
  return {{.n_fft = 1024, .hop = 120, .window = 600},
          {.n_fft = 2048, .hop = 240, .window = 1200},
          {.n_fft = 512, .hop = 50, .window = 240}};
}

std::vector<StftLossConfig> music_stft_configs(int64_t sample_rate_hz) {
  std::vector<StftLossConfig> configs;
  for (const int64_t n_fft : {1024, 2048, 8192}) {
    configs.push_back({.n_fft = n_fft,
                       .hop = n_fft / 4,
                       .window = n_fft,
                       .n_mels = 128,
                       .sample_rate_hz = sample_rate_hz,
                       .a_weighted = true});
  }
  return configs;
}

at::Tensor multi_resolution_stft_loss(const at::Tensor& estimate, const at::Tensor& reference,
                                      const std::vector<StftLossConfig>& configs) {
  if (configs.empty()) fail(ErrorKind::internal, "multi-resolution STFT loss: no resolution given");
  at::Tensor sum;
  for (const auto& config : configs) {
    const auto loss = stft_loss(estimate, reference, config);
    sum = sum.defined() ? sum + loss : loss;
  }
  return sum / static_cast<double>(configs.size());
}

at::Tensor sum_difference_stft_loss(const at::Tensor& estimate, const at::Tensor& reference,
                                    const std::vector<StftLossConfig>& configs) {
  const auto sum_of = [](const at::Tensor& wave) { return wave.select(-2, 0) + wave.select(-2, 1); };
  const auto difference_of = [](const at::Tensor& wave) { return wave.select(-2, 0) - wave.select(-2, 1); };
  return .5 * (multi_resolution_stft_loss(sum_of(estimate), sum_of(reference), configs) +
               multi_resolution_stft_loss(difference_of(estimate), difference_of(reference), configs));
}

double log_spectral_distance_db(const at::Tensor& estimate, const at::Tensor& reference) {
  const c10::NoGradGuard no_grad;
  const auto decibels = [](const at::Tensor& wave) {
    const auto spectrum = stft(wave.to(at::kDouble), {.n_fft = 2048, .hop = 512, .window = 2048});
    return 10 * at::clamp_min(power(spectrum), 1e-10).log10();  // [bins, frames]
  };
  return (decibels(estimate) - decibels(reference)).square().mean(0).sqrt().mean().item<double>();
}

double log_mel_distance(const at::Tensor& estimate, const at::Tensor& reference, int64_t sample_rate_hz) {
  const c10::NoGradGuard no_grad;
  VocoderMelConfig config{.sample_rate_hz = sample_rate_hz, .n_fft = 2, .hop = sample_rate_hz / 100, .n_mels = 80};
  while (config.n_fft * 25 < sample_rate_hz) config.n_fft *= 2;
  config.window = config.n_fft;
  const auto x = log_mel(estimate.unsqueeze(0), config);
  const auto y = log_mel(reference.unsqueeze(0), config);
  return (x - y).abs().mean().item<double>();
}

}  // namespace melisma
