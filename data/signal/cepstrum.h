// Cepstra: the cosine transform of log-mel spectra, liftering, and their time derivatives.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace melisma {

// The orthonormal DCT-II as a matrix [n_out, n_in], double: row k is sqrt(2/n) cos(pi k (2 i + 1) / (2 n)), row 0 over
// sqrt(2).
[[nodiscard]] at::Tensor dct_matrix(std::int64_t n_out, std::int64_t n_in);

// log-mel (dB or nepers) [..., n_mels, frames] -> coefficients 0 ... n_coefficients-1, [..., n_coefficients, frames].
// lifter > 0 multiplies coefficient i by 1 + lifter/2 sin(pi (i+1)/lifter), as librosa.feature.mfcc.
[[nodiscard]] at::Tensor mfcc(const at::Tensor& log_mel, std::int64_t n_coefficients, double lifter = 0);

// Savitzky-Golay derivative over `width` frames (odd, >= 3): the slope (order 1, straight line) or the second
// derivative (order 2, parabola) per frame; the outermost frames take the fit of the outermost window, as
// librosa.feature.delta. features [..., frames] -> same shape. Signals shorter than the window use the longest odd
// window that fits; those too short for any (fewer than order + 1 frames) give zeros.
[[nodiscard]] at::Tensor delta(const at::Tensor& features, std::int64_t width = 9, std::int64_t order = 1);

}  // namespace melisma
