// The one short-time Fourier transform: framing, windows, padding conventions, and the inverse. Differentiable.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace melisma {

// What stands before the first and after the last sample.
enum class Padding {
  none,            // frames lie inside the signal: frame t covers [t*hop, t*hop + n_fft)
  centre_reflect,  // n_fft/2 mirrored samples each side: frame t is centred on sample t*hop (torch.stft, torchaudio)
  centre_zeros,    // n_fft/2 zeros each side (librosa)
  vocoder,         // (n_fft - hop)/2 mirrored samples each side: exactly samples/hop frames (HiFi-GAN, RVC)
};

struct StftConfig {
  std::int64_t n_fft = 2048;
  std::int64_t hop = 512;
  std::int64_t window = 2048;  // length of the periodic Hann window; shorter than n_fft: centred in zeros
  Padding padding = Padding::centre_reflect;
  bool normalized = false;  // multiply by 1/sqrt(n_fft)
};

// Frames that stft makes of n_samples; 0 where the signal is too short for one.
[[nodiscard]] std::int64_t stft_frames(std::int64_t n_samples, const StftConfig& config);

// The periodic Hann window [n_fft] of the config, zero-padded; one shared tensor per length, dtype and device.
[[nodiscard]] at::Tensor stft_window(const StftConfig& config, at::ScalarType dtype, at::Device device = at::kCPU);

// wave [..., n] float or double -> frames that are windowed but not transformed, [..., frames, n_fft].
[[nodiscard]] at::Tensor windowed_frames(const at::Tensor& wave, const StftConfig& config);

// wave [..., n] float or double -> complex [..., n_fft/2+1, frames] (a view with the bins innermost in memory).
// Error(data) when n is too short to be padded or to fill one frame.
[[nodiscard]] at::Tensor stft(const at::Tensor& wave, const StftConfig& config);

// The least-squares inverse of stft: complex [..., n_fft/2+1, frames] -> [..., length]. length 0 = what the frames
// cover without the padding: (frames-1)*hop when centred, (frames-1)*hop + n_fft - 2*pad otherwise. Samples that no
// window reaches are 0.
[[nodiscard]] at::Tensor istft(const at::Tensor& spectrum, const StftConfig& config, std::int64_t length = 0);

// sqrt(re^2 + im^2 + eps) or its square (re^2 + im^2 + eps) of a complex tensor, same shape and layout.
[[nodiscard]] at::Tensor magnitude(const at::Tensor& spectrum, double eps = 0);
[[nodiscard]] at::Tensor power(const at::Tensor& spectrum, double eps = 0);

}  // namespace melisma
