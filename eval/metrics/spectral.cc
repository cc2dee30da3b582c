#include "eval/metrics/spectral.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "data/signal/mel.h"
#include "data/signal/stft.h"

namespace melisma {
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
