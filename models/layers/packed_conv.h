// Two-dimensional convolutions that are only ever run: weights laid out once for the CPU's kernels, channels innermost
// in memory, the rectifier or a sum computed in the same pass.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

#include "models/layers/layers.h"

namespace melisma {

enum class PackedActivation { none, relu };

// Inputs and outputs are float tensors [B, C, H, W] whose memory has the channels innermost (at::MemoryFormat::
// ChannelsLast); other inputs are brought to it. No gradients. Calls from several threads are safe.
class PackedConv2d {
 public:
  // weight [out, in, kernel height, kernel width]; bias [out] or undefined. Of the options the strides and paddings
  // count. Error(internal) if the kernel sizes contradict the weight.
  PackedConv2d(const at::Tensor& weight, const at::Tensor& bias, const Conv2dOptions& options,
               PackedActivation activation = PackedActivation::none);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
  // sum [B, out, H', W'] += convolution of x. Without activation only.
  void add_to(at::Tensor& sum, const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
  Conv2dOptions options_;
  PackedActivation activation_;
  bool is_packed_;
};

// The transposed convolution: [B, in, H, W] -> [B, out, (H - 1) stride - 2 padding + kernel + output padding, ...].
struct ConvTranspose2dOptions {
  std::int64_t stride_height = 1, stride_width = 1, padding_height = 0, padding_width = 0;
  std::int64_t output_padding_height = 0, output_padding_width = 0;
};
class PackedConvTranspose2d {
 public:
  // weight [in, out, kernel height, kernel width]; bias [out] or undefined.
  PackedConvTranspose2d(const at::Tensor& weight, const at::Tensor& bias, const ConvTranspose2dOptions& options,
                        PackedActivation activation = PackedActivation::none);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
  ConvTranspose2dOptions options_;
  PackedActivation activation_;
  bool is_packed_;
};

// Batch normalisation of a running network, y = scale x + shift a channel, from what a file holds of it. All [C].
struct ChannelAffine {
  at::Tensor scale, shift;
};
[[nodiscard]] ChannelAffine batch_norm_affine(const at::Tensor& weight, const at::Tensor& bias,
                                              const at::Tensor& running_mean, const at::Tensor& running_var,
                                              double eps);

}  // namespace melisma
