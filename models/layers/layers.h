// The layers networks are made of: linear, embedding, channel layer norm, convolutions with optional weight norm.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/layers/module.h"

namespace melisma {

// Fresh weights are drawn as PyTorch's layers draw them: uniform within 1/sqrt(fan in), for weight and bias.

// y = x W^T + b on the last dimension. weight [out, in], bias [out].
class Linear : public Module {
 public:
  Linear(std::int64_t in, std::int64_t out, bool with_bias = true);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;  // [..., in] -> [..., out]
  void initialise(at::Generator& generator) override;

  at::Tensor weight, bias;
};

// Rows by index. weight [rows, width], drawn from the normal distribution.
class Embedding : public Module {
 public:
  Embedding(std::int64_t rows, std::int64_t width);
  // Throws c10::Error on an index outside [0, rows).
  [[nodiscard]] at::Tensor operator()(const at::Tensor& index) const;  // int64 [...] -> [..., width]
  void initialise(at::Generator& generator) override;

  at::Tensor weight;
};

// Layer norm over the channels of [B, C, T], eps 1e-5; parameters gamma and beta [C].
class ChannelLayerNorm : public Module {
 public:
  explicit ChannelLayerNorm(std::int64_t channels);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;  // [B, C, T] -> [B, C, T]
  void initialise(at::Generator& generator) override;

  at::Tensor gamma, beta;
};

struct ConvOptions {
  std::int64_t kernel = 1, stride = 1, padding = 0, dilation = 1, groups = 1;
  std::int64_t output_padding = 0;  // transposed convolution only
  bool bias = true;
  bool weight_norm =
      false;  // weight = g v / |v| over every dimension but the first; parameters bias, weight_g, weight_v
};

// What the convolutions share: a weight that is either a parameter (weight, bias) or weight-normed (bias, weight_g,
// weight_v; this order is the one the RVC tools' optimizers number their parameters in).
class Convolution : public Module {
 public:
  void initialise(at::Generator& generator) override;
  void fold(bool on) override;
  // The weight as it acts, differentiable unless folded.
  [[nodiscard]] at::Tensor weight() const;
  [[nodiscard]] const at::Tensor& bias() const { return bias_; }

 protected:
  Convolution(const std::vector<std::int64_t>& weight_shape, std::int64_t out, const ConvOptions& options);
  ConvOptions options_;

 private:
  at::Tensor bias_, plain_, g_, v_, folded_;
};

// [B, in, T] -> [B, out, T']. weight [out, in / groups, kernel].
class Conv1d : public Convolution {
 public:
  Conv1d(std::int64_t in, std::int64_t out, const ConvOptions& options = {});
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
};

// [B, in, T] -> [B, out, (T - 1) stride - 2 padding + kernel + output_padding]. weight [in, out, kernel]; weight norm
// is over each input channel, as in the distributed models.
class ConvTranspose1d : public Convolution {
 public:
  ConvTranspose1d(std::int64_t in, std::int64_t out, const ConvOptions& options);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
};

// Height and width of a two-dimensional convolution.
struct Conv2dOptions {
  std::int64_t kernel_height = 1, kernel_width = 1, stride_height = 1, stride_width = 1;
  std::int64_t padding_height = 0, padding_width = 0;
  bool bias = true;
  bool weight_norm = false;
};

// [B, in, H, W] -> [B, out, H', W']. weight [out, in, kernel height, kernel width].
class Conv2d : public Convolution {
 public:
  Conv2d(std::int64_t in, std::int64_t out, const Conv2dOptions& options);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;

 private:
  Conv2dOptions shape_;
};

}  // namespace melisma
