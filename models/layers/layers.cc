#include "models/layers/layers.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

namespace melisma {
namespace {

void fill_uniform(const at::Tensor& tensor, double bound, at::Generator& generator) {
  if (!tensor.defined()) return;
  const c10::NoGradGuard no_grad;
  tensor.copy_(at::rand(tensor.sizes(), generator, at::TensorOptions().dtype(at::kFloat)).mul_(2 * bound).sub_(bound));
}

// |v| over every dimension but the first, shaped [n, 1, ...].
at::Tensor norms_of_rows(const at::Tensor& v) {
  std::vector<std::int64_t> shape(v.dim(), 1);
  shape[0] = v.size(0);
  return v.flatten(1).norm(2, {1}).view(shape);
}

}  // namespace

Linear::Linear(std::int64_t in, std::int64_t out, bool with_bias) {
  weight = parameter("weight", at::zeros({out, in}));
  if (with_bias) bias = parameter("bias", at::zeros({out}));
}

at::Tensor Linear::operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }

void Linear::initialise(at::Generator& generator) {
  const double bound = 1 / std::sqrt(static_cast<double>(weight.size(1)));
  fill_uniform(weight, bound, generator);
  fill_uniform(bias, bound, generator);
}

Embedding::Embedding(std::int64_t rows, std::int64_t width) { weight = parameter("weight", at::zeros({rows, width})); }

at::Tensor Embedding::operator()(const at::Tensor& index) const { return at::embedding(weight, index); }

void Embedding::initialise(at::Generator& generator) {
  const c10::NoGradGuard no_grad;
  weight.copy_(at::randn(weight.sizes(), generator, at::TensorOptions().dtype(at::kFloat)));
}

ChannelLayerNorm::ChannelLayerNorm(std::int64_t channels) {
  gamma = parameter("gamma", at::ones({channels}));
  beta = parameter("beta", at::zeros({channels}));
}

at::Tensor ChannelLayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x.transpose(1, -1), {gamma.size(0)}, gamma, beta, 1e-5).transpose(1, -1);
}

void ChannelLayerNorm::initialise(at::Generator&) {
  const c10::NoGradGuard no_grad;
  gamma.fill_(1);
  beta.fill_(0);
}

Convolution::Convolution(const std::vector<std::int64_t>& weight_shape, std::int64_t out, const ConvOptions& options)
    : options_(options) {
  if (options.weight_norm) {
    std::vector<std::int64_t> g_shape(weight_shape.size(), 1);
    g_shape[0] = weight_shape[0];
    if (options.bias) bias_ = parameter("bias", at::zeros({out}));
    g_ = parameter("weight_g", at::ones(g_shape));
    v_ = parameter("weight_v", at::zeros(weight_shape));
  } else {
    plain_ = parameter("weight", at::zeros(weight_shape));
    if (options.bias) bias_ = parameter("bias", at::zeros({out}));
  }
}

at::Tensor Convolution::weight() const {
  if (!v_.defined()) return plain_;
  if (folded_.defined()) return folded_;
  return at::_weight_norm(v_, g_, 0);
}

void Convolution::initialise(at::Generator& generator) {
  const auto& drawn = v_.defined() ? v_ : plain_;
  const double fan_in = static_cast<double>(drawn.numel() / drawn.size(0));
  fill_uniform(drawn, 1 / std::sqrt(fan_in), generator);
  fill_uniform(bias_, 1 / std::sqrt(fan_in), generator);
  if (v_.defined()) {
    const c10::NoGradGuard no_grad;
    g_.copy_(norms_of_rows(v_));
  }
  folded_.reset();
}

void Convolution::fold(bool on) {
  folded_.reset();
  if (!on || !v_.defined()) return;
  const c10::NoGradGuard no_grad;
  folded_ = at::_weight_norm(v_, g_, 0);
}

Conv1d::Conv1d(std::int64_t in, std::int64_t out, const ConvOptions& options)
    : Convolution({out, in / options.groups, options.kernel}, out, options) {}

at::Tensor Conv1d::operator()(const at::Tensor& x) const {
  return at::conv1d(x, weight(), bias(), options_.stride, options_.padding, options_.dilation, options_.groups);
}

ConvTranspose1d::ConvTranspose1d(std::int64_t in, std::int64_t out, const ConvOptions& options)
    : Convolution({in, out / options.groups, options.kernel}, out, options) {}

at::Tensor ConvTranspose1d::operator()(const at::Tensor& x) const {
  return at::conv_transpose1d(x, weight(), bias(), options_.stride, options_.padding, options_.output_padding,
                              options_.groups, options_.dilation);
}

Conv2d::Conv2d(std::int64_t in, std::int64_t out, const Conv2dOptions& options)
    : Convolution({out, in, options.kernel_height, options.kernel_width}, out,
                  {.bias = options.bias, .weight_norm = options.weight_norm}),
      shape_(options) {}

at::Tensor Conv2d::operator()(const at::Tensor& x) const {
  return at::conv2d(x, weight(), bias(), {shape_.stride_height, shape_.stride_width},
                    {shape_.padding_height, shape_.padding_width});
}

}  // namespace melisma
