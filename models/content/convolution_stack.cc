#include "models/content/convolution_stack.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "models/layers/device.h"
#include "tools/base/error.h"

namespace melisma {
namespace convolution_stack_detail {
namespace {

// Rows of one tile: what a layer reads and writes stays in the caches, and products are long enough to be worth reading
// their weights for. Whole groups of a halving convolution.
constexpr std::int64_t kTileRows = 576;
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
  layers_.clear();
  if (!on) return;
  const c10::NoGradGuard no_grad;
  for (std::size_t layer = 1; layer < weights_.size(); ++layer) {
    const auto kernel = config_.conv_kernels[layer], stride = config_.conv_strides[layer];
    auto& made = layers_.emplace_back();
    if (kernel == 3 && stride == 2 && arithmetic_ == at::kFloat) {
      made.halving.emplace(weights_[layer], config_.conv_bias ? biases_[layer] : at::Tensor());
      continue;
    }
    for (std::int64_t tap = 0; tap < kernel; tap += stride) {
      const auto taps = weights_[layer].narrow(2, tap, std::min(stride, kernel - tap));  // [out, in, taps]
      made.parts.push_back({tap, PackedMatrix(taps.transpose(1, 2).flatten(1), arithmetic_)});
    }
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

// Rows first, first + 1, ... of what the layer before `layer` makes, in its scratch; zeros after the clip's last one.
at::Tensor ConvolutionStack::rows_before(std::size_t layer, std::int64_t first, std::int64_t count, Work& work) const {
  const auto rows = room_for(work.rows[layer - 1], count, config_.conv_channels[layer - 1]);
  const auto n_there = std::min(count, work.n_rows[layer - 1] - first);
  compute(layer - 1, first, rows.narrow(0, 0, n_there), work);
  if (n_there < count) rows.narrow(0, n_there, count - n_there).zero_();
  return rows;
}

// Rows [first, first + out.size(0)) of what `layer` makes, into out [rows, channels]; the rows they need of the layer
// before are made on the way, tile by tile.
void ConvolutionStack::compute(std::size_t layer, std::int64_t first, const at::Tensor& out, Work& work) const {
  if (layer > 0) {
    return layers_[layer - 1].halving ? compute_halving(layer, first, out, work)
                                      : compute_by_parts(layer, first, out, work);
  }
  auto rows = out;
  const auto& [windows, weight, bias] = work.first_layer;
  at::addmm_out(rows, bias, windows.narrow(0, first, out.size(0)), weight);
  at::gelu_(rows);
}

void ConvolutionStack::compute_by_parts(std::size_t layer, std::int64_t first, const at::Tensor& out,
                                        Work& work) const {
  using convolution_stack_detail::kTileRows;
  const auto stride = config_.conv_strides[layer], kernel = config_.conv_kernels[layer];
  const auto width = config_.conv_channels[layer - 1];
  for (std::int64_t done = 0; done < out.size(0); done += kTileRows) {
    auto tile = out.narrow(0, done, std::min(kTileRows, out.size(0) - done));
    const auto in = rows_before(layer, (first + done) * stride, (tile.size(0) - 1) * stride + kernel, work);
    if (config_.conv_bias) tile.copy_(biases_[layer].unsqueeze(0).expand_as(tile));
    for (const auto& part : layers_[layer - 1].parts) {
      const auto rows = in.as_strided({tile.size(0), part.weight.in()}, {stride * width, 1},
                                      in.storage_offset() + part.first_tap * width);
      part.weight.multiply(rows, tile, config_.conv_bias || part.first_tap > 0);
    }
    at::gelu_(tile);
  }
}

// Groups of rows begin at multiples of their length in the clip, so that a row is the same whoever asks for it.
void ConvolutionStack::compute_halving(std::size_t layer, std::int64_t first, const at::Tensor& out, Work& work) const {
  constexpr auto kGroup = HalvingConvolution::kGroup;
  const auto end = first + out.size(0);
  for (auto begin = first / kGroup * kGroup; begin < end; begin += convolution_stack_detail::kTileRows) {
    const auto from = std::max(begin, first), to = std::min(begin + convolution_stack_detail::kTileRows, end);
    const auto groups = (to - begin + kGroup - 1) / kGroup;
    const auto in = rows_before(layer, 2 * begin, 2 * kGroup * groups + 1, work);
    const auto rows = (*layers_[layer - 1].halving)(in, work.halving);
    auto tile = out.narrow(0, from - first, to - from);
    at::gelu_out(tile, rows.narrow(0, from - begin, to - from));
  }
}

// wave [N] -> [frames, channels], on the weights' device.
at::Tensor ConvolutionStack::plain(const at::Tensor& wave) const {
  const c10::NoGradGuard no_grad;
  auto x = wave.view({1, 1, -1});
  for (std::size_t layer = 0; layer < weights_.size(); ++layer) {
    const auto bias = config_.conv_bias ? biases_[layer] : at::Tensor();
    const auto weight = weights_[layer].to(arithmetic_);
    x = at::conv1d(x.to(arithmetic_), weight, {}, config_.conv_strides[layer]).to(at::kFloat);
    if (bias.defined()) x = x + bias.unsqueeze(1);
    if (layer == 0) x = at::group_norm(x, x.size(1), scale_, shift_, convolution_stack_detail::kGroupNormEps);
    x = at::gelu(x);
  }
  return x[0].t();
}

at::Tensor ConvolutionStack::operator()(std::span<const float> wave) const {
  if (!scale_.is_cpu()) {
    const auto samples = at::from_blob(const_cast<float*>(wave.data()), {std::ssize(wave)}, at::kFloat);
    return plain(on_device(samples, scale_.device()));
  }
  if (layers_.empty()) fail(ErrorKind::internal, "a convolution stack is used before fold(true)");
  const c10::NoGradGuard no_grad;
  const auto last = config_.conv_channels.size() - 1;
  const auto first_layer = normalised_first_layer(wave);
  const auto n_rows = config_.rows_of_convolutions(std::ssize(wave));
  auto frames = at::empty({n_rows.back(), config_.conv_channels[last]});
  at::parallel_for(0, frames.size(0), convolution_stack_detail::kThreadFrames,
                   [&](std::int64_t begin, std::int64_t end) {
                     const c10::NoGradGuard no_grad_here;  // is a thread's own
                     Work work{first_layer, n_rows, std::vector<at::Tensor>(last), {}};
                     compute(last, begin, frames.narrow(0, begin, end - begin), work);
                   });
  return frames;
}

}  // namespace melisma
