#include "models/content/convolution_stack.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "tools/base/error.h"

namespace melisma {
namespace convolution_stack_detail {
namespace {

// Rows of one tile: what a layer reads and writes stays in a core's own cache, and products are long enough.
constexpr std::int64_t kTileRows = 128;
// Final frames that one thread makes at a time.
constexpr std::int64_t kThreadFrames = 64;
constexpr double kGroupNormEps = 1e-5;

}  // namespace
}  // namespace convolution_stack_detail

ConvolutionStack::ConvolutionStack(const HubertConfig& config, at::ScalarType arithmetic)
    : config_(config), arithmetic_(arithmetic) {
  std::int64_t in = 1;
  for (std::size_t i = 0; i < config.conv_channels.size(); ++i) {
    const auto out = config.conv_channels[i];
    const auto name = fmt::format("conv_layers.{}.", i);
    weights_.push_back(parameter(name + "conv.weight", at::zeros({out, in, config.conv_kernels[i]})));
    if (config.conv_bias) biases_.push_back(parameter(name + "conv.bias", at::zeros({out})));
    if (i == 0) {
      scale_ = parameter(name + "layer_norm.weight", at::ones({out}));
      shift_ = parameter(name + "layer_norm.bias", at::zeros({out}));
    }
    in = out;
  }
}

void ConvolutionStack::fold(bool on) {
  parts_.clear();
  if (!on) return;
  const c10::NoGradGuard no_grad;
  for (std::size_t layer = 1; layer < weights_.size(); ++layer) {
    const auto kernel = config_.conv_kernels[layer], stride = config_.conv_strides[layer];
    std::vector<Part> parts;
    for (std::int64_t tap = 0; tap < kernel; tap += stride) {
      const auto taps = weights_[layer].narrow(2, tap, std::min(stride, kernel - tap));  // [out, in, taps]
      parts.push_back({tap, PackedMatrix(taps.transpose(1, 2).flatten(1), arithmetic_)});
    }
    parts_.push_back(std::move(parts));
  }
}

// A convolution of one channel is linear in `taps` samples, so that the mean and variance of its output follow from the
// mean and covariance of its windows: the output itself need not be made twice.
ConvolutionStack::FirstLayer ConvolutionStack::normalised_first_layer(std::span<const float> wave) const {
  FirstLayer layer;
  layer.windows = at::from_blob(const_cast<float*>(wave.data()), {static_cast<std::int64_t>(wave.size())}, at::kFloat)
                      .unfold(0, config_.conv_kernels[0], config_.conv_strides[0]);
  const auto windows = layer.windows.to(at::kDouble);
  const auto mean = windows.mean(0);                                                            // [taps]
  const auto centred = windows - mean;                                                          // [n, taps]
  const auto covariance = at::mm(centred.t(), centred) / static_cast<double>(windows.size(0));  // [taps, taps]
  const auto weight = weights_[0].squeeze(1).to(at::kDouble);                                   // [out, taps]
  const auto variance = (at::mm(weight, covariance) * weight).sum(1).clamp_min(0);              // [out]
  const auto scale = scale_.to(at::kDouble) / (variance + convolution_stack_detail::kGroupNormEps).sqrt();
  layer.weight = (weight * scale.unsqueeze(1)).t().to(at::kFloat).contiguous();
  layer.bias = (shift_.to(at::kDouble) - at::mv(weight, mean) * scale).to(at::kFloat);
  return layer;
}

// Rows [first, first + out.size(0)) of what `layer` makes, into out [rows, channels]; the rows they need of the layer
// before are made on the way, tile by tile.
void ConvolutionStack::compute(std::size_t layer, std::int64_t first, const at::Tensor& out,
                               const FirstLayer& first_layer, std::vector<at::Tensor>& scratch) const {
  const auto n = out.size(0);
  if (layer == 0) {
    auto rows = out;
    at::addmm_out(rows, first_layer.bias, first_layer.windows.narrow(0, first, n), first_layer.weight);
    at::gelu_(rows);
    return;
  }
  const auto stride = config_.conv_strides[layer], kernel = config_.conv_kernels[layer];
  const auto width = config_.conv_channels[layer - 1];
  for (std::int64_t done = 0; done < n; done += convolution_stack_detail::kTileRows) {
    auto tile = out.narrow(0, done, std::min(convolution_stack_detail::kTileRows, n - done));
    const auto n_in = (tile.size(0) - 1) * stride + kernel;
    auto& kept = scratch[layer - 1];
    if (!kept.defined() || kept.size(0) < n_in) kept = at::empty({n_in, width}, at::kFloat);
    const auto in = kept.narrow(0, 0, n_in);
    compute(layer - 1, (first + done) * stride, in, first_layer, scratch);
    if (config_.conv_bias) tile.copy_(biases_[layer].unsqueeze(0).expand_as(tile));
    for (const auto& part : parts_[layer - 1]) {
      const auto rows = in.as_strided({tile.size(0), part.weight.in()}, {stride * width, 1},
                                      in.storage_offset() + part.first_tap * width);
      part.weight.multiply(rows, tile, config_.conv_bias || part.first_tap > 0);
    }
    at::gelu_(tile);
  }
}

at::Tensor ConvolutionStack::operator()(std::span<const float> wave) const {
  if (parts_.empty()) fail(ErrorKind::internal, "a convolution stack is used before fold(true)");
  const c10::NoGradGuard no_grad;
  const auto last = config_.conv_channels.size() - 1;
  const auto first_layer = normalised_first_layer(wave);
  auto frames = at::empty({config_.n_frames(static_cast<std::int64_t>(wave.size())), config_.conv_channels[last]});
  at::parallel_for(0, frames.size(0), convolution_stack_detail::kThreadFrames,
                   [&](std::int64_t begin, std::int64_t end) {
                     const c10::NoGradGuard no_grad_here;  // is a thread's own
                     std::vector<at::Tensor> scratch(last);
                     compute(last, begin, frames.narrow(0, begin, end - begin), first_layer, scratch);
                   });
  return frames;
}

}  // namespace melisma
