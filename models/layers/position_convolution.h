// A convolution along one dimension of channels-last data as matrix products, with the activation behind it.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace melisma {

struct PositionConvolution {
  std::int64_t kernel = 1, stride = 1;  // zero padding of (kernel - 1) / 2 positions at both ends; odd kernels
  double slope = 1;                     // of the leaky ReLU that follows; 1 = none
};

// x [B, P, H, in], weight [out, kernel * in] (the taps' weights side by side), bias [out] -> [B, P, H', out] with
// H' = (H - 1) / stride + 1. Differentiable in all three. Each direction is one matrix product over all of B, P and H',
// which small planes fill better than a two-dimensional convolution does.
[[nodiscard]] at::Tensor convolve_positions(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                            const PositionConvolution& shape);

}  // namespace melisma
