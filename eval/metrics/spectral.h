// Spectral distances of two waves: log-spectral distance, log-mel distance. STFT losses are in data/signal/stft_loss.h.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace melisma {

// Root mean square over bins of the difference of 20 log10 magnitudes, mean over frames, in dB.
// estimate, reference [N]; FFT 2048, hop 512, power floor 1e-10.
[[nodiscard]] double log_spectral_distance_db(const at::Tensor& estimate, const at::Tensor& reference);

// Mean |ln mel(estimate) - ln mel(reference)| over frames and bands, in nepers (1 Np = 8.69 dB). 80 Slaney bands from 0
// Hz to Nyquist, Hann window of the smallest power of two that lasts 40 ms, hop 10 ms, (window - hop)/2 mirrored
// samples at each end, magnitudes floored at 1e-5. estimate, reference [N] of more than half a window.
[[nodiscard]] double log_mel_distance(const at::Tensor& estimate, const at::Tensor& reference, int64_t sample_rate_hz);

}  // namespace melisma
