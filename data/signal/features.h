// Descriptions of a spectrum frame by frame, as librosa.feature computes them. Differentiable where that makes sense.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace melisma {

// Of a wave [..., n] in frames centred on sample t*hop; [..., n/hop + 1].
// Root of the mean square, zeros outside the wave.
[[nodiscard]] at::Tensor frame_rms(const at::Tensor& wave, std::int64_t frame = 2048, std::int64_t hop = 512);
// Sign changes per sample, the end samples repeated outside; values within 1e-10 of zero count as positive.
[[nodiscard]] at::Tensor zero_crossing_rate(const at::Tensor& wave, std::int64_t frame = 2048, std::int64_t hop = 512);

// Of magnitudes |S| [..., bins, frames] of an n_fft = 2 (bins - 1) transform; [..., frames]. Silent frames give 0.
// Mean frequency in Hz, weighted by magnitude.
[[nodiscard]] at::Tensor spectral_centroid_hz(const at::Tensor& magnitudes, std::int64_t sample_rate_hz);
// Standard deviation of frequency around the centroid in Hz, weighted by magnitude.
[[nodiscard]] at::Tensor spectral_bandwidth_hz(const at::Tensor& magnitudes, std::int64_t sample_rate_hz);
// Lowest bin frequency in Hz below which `share` of the sum of magnitudes lies.
[[nodiscard]] at::Tensor spectral_rolloff_hz(const at::Tensor& magnitudes, std::int64_t sample_rate_hz,
                                             double share = 0.85);
// Geometric over arithmetic mean of max(|S|^2, 1e-10): 1 for white noise, near 0 for tones.
[[nodiscard]] at::Tensor spectral_flatness(const at::Tensor& magnitudes);
// Peaks against valleys of six octave bands from 200 Hz and the rest, in dB: [..., 7, frames]. Peak and valley are the
// means of the highest and lowest 2 % of the bins (at least one).
[[nodiscard]] at::Tensor spectral_contrast_db(const at::Tensor& magnitudes, std::int64_t sample_rate_hz);

// Rise of the mel spectrum from frame to frame, in dB, mean over 128 Slaney bands: [..., n/hop + 1] of a wave [..., n];
// delayed by half a transform as librosa.onset.onset_strength. n_fft 2048.
[[nodiscard]] at::Tensor onset_strength(const at::Tensor& wave, std::int64_t sample_rate_hz, std::int64_t hop = 512);

}  // namespace melisma
