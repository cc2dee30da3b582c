#include "data/signal/mel_loss.h"

#include <ATen/ATen.h>

#include <array>

namespace melisma {
namespace mel_loss_detail {
namespace {

struct Resolution {
  std::int64_t window, n_mels;
};
constexpr std::array<Resolution, 7> kResolutions{
    {{32, 5}, {64, 10}, {128, 20}, {256, 40}, {512, 80}, {1024, 160}, {2048, 320}}};

at::Tensor log10_mel(const at::Tensor& wave, const Resolution& resolution, std::int64_t sample_rate_hz) {
  const auto spectrum = magnitude(stft(wave, {.n_fft = resolution.window,
                                              .hop = resolution.window / 4,
                                              .window = resolution.window,
                                              .padding = Padding::centre_reflect}),
                                  1e-6);
  const MelConfig bank{.sample_rate_hz = sample_rate_hz, .n_fft = resolution.window, .n_mels = resolution.n_mels};
  return to_mel(spectrum, bank).clamp_min(1e-5).log10();
}

}  // namespace
}  // namespace mel_loss_detail

at::Tensor mel_loss(const at::Tensor& wave, const at::Tensor& target, const VocoderMelConfig& config) {
  return at::l1_loss(log_mel(wave, config), log_mel(target, config));
}

at::Tensor multiscale_mel_loss(const at::Tensor& wave, const at::Tensor& target, std::int64_t sample_rate_hz) {
  at::Tensor sum;
  for (const auto& resolution : mel_loss_detail::kResolutions) {
    const auto loss = at::l1_loss(mel_loss_detail::log10_mel(wave, resolution, sample_rate_hz),
                                  mel_loss_detail::log10_mel(target, resolution, sample_rate_hz));
    sum = sum.defined() ? sum + loss : loss;
  }
  return sum;
}

}  // namespace melisma
