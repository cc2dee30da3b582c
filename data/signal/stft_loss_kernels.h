// The passes over spectra that stft_loss.cc is made of, for contiguous floats on the CPU.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace melisma {

struct SpectralSums {
  double squares = 0;     // of X - Y
  double magnitudes = 0;  // |X - Y|
  double logs = 0;        // |ln X - ln Y|
  double target_squares = 0;
};

// Weights of dL/dX = convergence (X - Y) + sign(X - Y) (log / X + linear).
struct SpectralSlopes {
  double convergence = 0, log = 0, linear = 0;
};

// wave [rows, N] -> frames [rows, frames, n_fft] times window [n_fft], of which only [first, first + length) is not
// zero; centred, mirrored at the ends. N must be more than n_fft / 2.
[[nodiscard]] at::Tensor frames_of(const at::Tensor& wave, const at::Tensor& window, int64_t first, int64_t length,
                                   int64_t hop);

// The transpose of frames_of: gradients of the frames -> of the wave [rows, n_samples].
[[nodiscard]] at::Tensor frames_to_wave(const at::Tensor& frames, const at::Tensor& window, int64_t first,
                                        int64_t length, int64_t hop, int64_t n_samples);

// spectrum, complex [rows, frames, bins] -> magnitudes of at least sqrt(floor), float.
[[nodiscard]] at::Tensor floored_magnitudes(const at::Tensor& spectrum, double floor);

// Sums over all bins; target [rows, frames, bins]. Do not depend on the number of threads.
[[nodiscard]] SpectralSums spectral_sums(const at::Tensor& spectrum, const at::Tensor& target, double floor);

// Turns the spectrum into the gradient's, halved where a real transform counts a bin twice: _fft_c2r of it is the
// gradient of the frames.
void spectrum_to_gradient(const at::Tensor& spectrum, const at::Tensor& target, double floor,
                          const SpectralSlopes& slopes);

}  // namespace melisma
