// Distances between two waves in the log-mel domain that training can descend on.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

#include "data/signal/mel.h"

namespace melisma {

// mean |ln mel(wave) - ln mel(target)| of two waves [B, N]; scalar. RVC weighs it by 45.
[[nodiscard]] at::Tensor mel_loss(const at::Tensor& wave, const at::Tensor& target, const VocoderMelConfig& config);

// Sum over seven resolutions (windows 32 ... 2048, hop window/4, centred, 5 ... 320 Slaney bands) of
// mean |log10 mel(wave) - log10 mel(target)|, magnitudes sqrt(re^2 + im^2 + 1e-6), clamped at 1e-5; waves [..., N].
// As RVC forks train RefineGAN (weight 45/3).
[[nodiscard]] at::Tensor multiscale_mel_loss(const at::Tensor& wave, const at::Tensor& target,
                                             std::int64_t sample_rate_hz);

}  // namespace melisma
