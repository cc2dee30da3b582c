#include "models/pitch/fcpe.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/signal/chunks.h"
#include "data/signal/vector.h"
#include "models/weights/weight_norm.h"
#include "tools/base/error.h"

namespace melisma {
namespace fcpe_detail {
namespace {

constexpr double kNormEpsilon = 1e-5, kLeak = 0.01;

std::int64_t size_of(const StateDict& weights, const std::string& name, std::int64_t dimension) {
  if (!weights.contains(name) || weights.at(name).dim() <= dimension) {
    fail(ErrorKind::checkpoint,
         "it has no '{}' of {} dimensions among its {} tensors: it is not an FCPE network; give fcpe_c_v001.pt of "
         "torchfcpe",
         name, dimension + 1, weights.size());
  }
  return weights.at(name).size(dimension);
}

// The mel settings of the configuration that the file holds beside its weights.
void read_mel_settings(const std::string& contents, FcpeMel& mel) {
  const auto all = nlohmann::json::parse(contents, nullptr, /*allow_exceptions=*/false);
  if (!all.is_object() || !all.contains("config_dict") || !all["config_dict"].contains("mel")) return;
  const auto& settings = all["config_dict"]["mel"];
  const auto number = [&](const char* name, double otherwise) {
    const auto found = settings.find(name);
    return found != settings.end() && found->is_number() ? found->get<double>() : otherwise;
  };
  const auto rate = number("sr", kPitchRateHz), hop = number("hop_size", kPitchHop);
  mel.n_fft = static_cast<std::int64_t>(number("n_fft", static_cast<double>(mel.n_fft)));
  mel.fmin = number("fmin", mel.fmin), mel.fmax = number("fmax", mel.fmax);
  const auto window = number("win_size", static_cast<double>(mel.n_fft));
  if (rate != kPitchRateHz || hop != kPitchHop || window != static_cast<double>(mel.n_fft)) {
    fail(ErrorKind::checkpoint,
         "it hears {} Hz in windows of {} samples (n_fft {}) every {}; {} Hz every {} is expected", rate, window,
         mel.n_fft, hop, kPitchRateHz, kPitchHop);
  }
}

// A convolution over three frames with zeros outside, from the weight [out, in, 3] of the file.
PackedConv2d over_time(const at::Tensor& weight, const at::Tensor& bias) {
  return {weight.unsqueeze(2), bias, {.kernel_width = 3, .padding_width = 1}};
}

// x [T, in] -> [T, out]
at::Tensor convolved(const at::Tensor& x, const PackedConv2d& convolution) {
  return convolution(x.t().unsqueeze(0).unsqueeze(2)).squeeze(2)[0].t();
}

// One output frame of a depthwise convolution: out [C] = bias + sum over k of weight[k] * rows[k].
MELISMA_CLONES void filter_frame(const float* rows, const float* weight, const float* bias, std::int64_t n_rows,
                                 std::int64_t channels, float* out) {
  std::copy(bias, bias + channels, out);
  for (std::int64_t k = 0; k < n_rows; ++k) {
    const auto *x = rows + k * channels, *w = weight + k * channels;
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) out[c] += w[c] * x[c];
  }
}

// Every channel of x [T, C] with a filter of its own, zeros outside. weight [kernel, C], kernel odd.
at::Tensor depthwise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto frames = x.size(0), channels = x.size(1), kernel = weight.size(0), reach = kernel / 2;
  auto filtered = at::empty_like(x);
  const auto *in = x.const_data_ptr<float>(), *taps = weight.const_data_ptr<float>();
  auto* out = filtered.data_ptr<float>();
  at::parallel_for(0, frames, 16, [&](std::int64_t begin, std::int64_t end) {
    for (auto t = begin; t < end; ++t) {
      const auto first = std::max<std::int64_t>(0, t - reach), last = std::min(frames, t + reach + 1);
      filter_frame(in + first * channels, taps + (first - t + reach) * channels, bias.const_data_ptr<float>(),
                   last - first, channels, out + t * channels);
    }
  });
  return filtered;
}

}  // namespace
}  // namespace fcpe_detail

FcpeShape fcpe_shape_of(const ModelFile& file) {
  using fcpe_detail::size_of;
  const auto& weights = file.weights;
  const std::string layer = "net.encoder_layers.0.";
  FcpeShape shape;
  shape.hidden = size_of(weights, "input_stack.0.weight", 0);
  shape.mel.n_mels = size_of(weights, "input_stack.0.weight", 1);
  if (weights.contains(layer + "attn.to_q.weight")) {
    fail(ErrorKind::checkpoint,
         "its layers have attention ('{}attn.to_q.weight'); only the convolutional network that torchfcpe 0.0.4 brings "
         "is understood",
         layer);
  }
  shape.layers = count_layers(weights, "net.encoder_layers.", ".norm.weight");
  shape.inner = size_of(weights, layer + "conformer.net.2.weight", 0) / 2;
  shape.kernel = size_of(weights, layer + "conformer.net.4.conv.weight", 2);
  shape.bins = size_of(weights, "output_proj.bias", 0);
  fcpe_detail::read_mel_settings(file.contents, shape.mel);
  return shape;
}

Fcpe::Fcpe(const FcpeShape& shape, NamedWeights& weights) : shape_(shape) {
  const auto copy = [&](const std::string& name, at::IntArrayRef sizes) { return weights.take(name, sizes).clone(); };
  const auto hidden = shape.hidden, inner = shape.inner;
  const auto cents = copy("cent_table", {shape.bins});
  bin_cents_.assign(cents.const_data_ptr<float>(), cents.const_data_ptr<float>() + shape.bins);
  weights.pass_over("gaussian_blurred_cent_mask");
  const auto first = weights.take("input_stack.0.weight", {hidden, shape.mel.n_mels, 3});
  first_.emplace(fcpe_detail::over_time(first, copy("input_stack.0.bias", {hidden})));
  group_weight_ = copy("input_stack.1.weight", {hidden});
  group_bias_ = copy("input_stack.1.bias", {hidden});
  const auto second = weights.take("input_stack.3.weight", {hidden, hidden, 3});
  second_.emplace(fcpe_detail::over_time(second, copy("input_stack.3.bias", {hidden})));
  for (std::int64_t i = 0; i < shape.layers; ++i) {
    const auto prefix = "net.encoder_layers." + std::to_string(i) + ".", net = prefix + "conformer.net.";
    Layer layer;
    layer.norm_weight = copy(net + "0.weight", {hidden});
    layer.norm_bias = copy(net + "0.bias", {hidden});
    layer.in_weight = copy(net + "2.weight", {2 * inner, hidden, 1}).squeeze(2);
    layer.in_bias = copy(net + "2.bias", {2 * inner});
    layer.depthwise_weight = weights.take(net + "4.conv.weight", {inner, 1, shape.kernel}).squeeze(1).t().contiguous();
    layer.depthwise_bias = copy(net + "4.conv.bias", {inner});
    layer.out_weight = copy(net + "6.weight", {hidden, inner, 1}).squeeze(2);
    layer.out_bias = copy(net + "6.bias", {hidden});
    for (const auto* of_attention : {"norm.weight", "norm.bias"}) (void)weights.take(prefix + of_attention, {hidden});
    layers_.push_back(std::move(layer));
  }
  norm_weight_ = copy("norm.weight", {hidden});
  norm_bias_ = copy("norm.bias", {hidden});
  output_bias_ = copy("output_proj.bias", {shape.bins});
  const auto g = weights.take("output_proj.weight_g", {shape.bins, 1});
  output_weight_ = fold_weight_norm(g, weights.take("output_proj.weight_v", {shape.bins, hidden}));
}

// Frames [first, first + count) after the first convolution, [count, hidden].
at::Tensor Fcpe::first_convolution(std::span<const float> wave, std::int64_t first, std::int64_t count) const {
  const auto total = network_frames(std::ssize(wave));
  const auto from = std::max<std::int64_t>(0, first - 1), to = std::min(total, first + count + 1);
  const auto mel = fcpe_mel(wave, from, to - from, shape_.mel);
  return fcpe_detail::convolved(mel, *first_).narrow(0, first - from, count);
}

Fcpe::GroupStatistics Fcpe::measure(std::span<const float> wave, std::int64_t chunk) const {
  const auto total = network_frames(std::ssize(wave));
  auto sum = at::zeros({shape_.hidden}, at::kDouble), squares = at::zeros_like(sum);
  for (const auto& [keep, compute] : chunks_with_context(total, chunk, 0)) {
    const auto x = first_convolution(wave, keep.first, keep.length()).to(at::kDouble);
    sum += x.sum(0);
    squares += x.square().sum(0);
  }
  const auto a_channel = shape_.hidden / kGroups;
  const auto count = static_cast<double>(a_channel * total);
  const auto mean = sum.view({kGroups, -1}).sum(1) / count;
  const auto variance = squares.view({kGroups, -1}).sum(1) / count - mean.square();
  const auto inverse = (variance.clamp_min(0) + fcpe_detail::kNormEpsilon).rsqrt();
  return {mean.repeat_interleave(a_channel).to(at::kFloat), inverse.repeat_interleave(a_channel).to(at::kFloat)};
}

// [T, hidden] -> [T, hidden]
at::Tensor Fcpe::apply(const Layer& layer, const at::Tensor& x) const {
  const auto normalised =
      at::layer_norm(x, {shape_.hidden}, layer.norm_weight, layer.norm_bias, fcpe_detail::kNormEpsilon);
  const auto gated = at::glu(at::linear(normalised, layer.in_weight, layer.in_bias), 1);  // [T, inner]
  auto active = fcpe_detail::depthwise(gated, layer.depthwise_weight, layer.depthwise_bias);
  at::silu_(active);
  return x + at::linear(active, layer.out_weight, layer.out_bias);
}

void Fcpe::listen(std::span<const float> wave, const std::function<void(const at::Tensor&)>& take,
                  std::int64_t chunk) const {
  const auto total = network_frames(std::ssize(wave));
  const auto statistics = measure(wave, chunk);
  for (const auto& [keep, compute] : chunks_with_context(total, chunk, shape_.context_frames())) {
    auto x = first_convolution(wave, compute.first, compute.length());
    x = (x - statistics.mean) * (statistics.inverse_deviation * group_weight_) + group_bias_;
    x = fcpe_detail::convolved(at::leaky_relu_(x, fcpe_detail::kLeak), *second_);
    for (const auto& layer : layers_) x = apply(layer, x);
    x = at::layer_norm(x, {shape_.hidden}, norm_weight_, norm_bias_, fcpe_detail::kNormEpsilon);
    const auto kept = x.narrow(0, keep.first - compute.first, keep.length());
    take(at::linear(kept, output_weight_, output_bias_).sigmoid_());
  }
}

}  // namespace melisma
