#include "models/pitch/rmvpe.h"

#include <ATen/ATen.h>

#include "data/signal/chunks.h"
#include "models/pitch/front_end.h"
#include "tools/base/error.h"

namespace melisma {
namespace rmvpe_detail {
namespace {

constexpr double kNormEpsilon = 1e-5;

ChannelAffine take_norm(std::int64_t channels, const std::string& prefix, NamedWeights& weights) {
  const auto weight = weights.take(prefix + "weight", {channels}), bias = weights.take(prefix + "bias", {channels});
  const auto mean = weights.take(prefix + "running_mean", {channels});
  const auto variance = weights.take(prefix + "running_var", {channels});
  weights.pass_over(prefix + "num_batches_tracked");
  return batch_norm_affine(weight, bias, mean, variance, kNormEpsilon);
}

// A 3x3 convolution without bias, followed by its normalisation and a rectifier.
PackedConv2d take_convolution(std::int64_t in, std::int64_t out, const std::string& convolution,
                              const std::string& norm, NamedWeights& weights) {
  const auto weight = weights.take(convolution + "weight", {out, in, 3, 3});
  const auto [scale, shift] = take_norm(out, norm, weights);
  return {weight * scale.view({-1, 1, 1, 1}),
          shift,
          {.kernel_height = 3, .kernel_width = 3, .padding_height = 1, .padding_width = 1},
          PackedActivation::relu};
}

PackedConvTranspose2d take_rise(std::int64_t in, std::int64_t out, const std::string& prefix, NamedWeights& weights) {
  const auto weight = weights.take(prefix + "0.weight", {in, out, 3, 3});
  const auto [scale, shift] = take_norm(out, prefix + "1.", weights);
  return {weight * scale.view({1, -1, 1, 1}),
          shift,
          {.stride_height = 2,
           .stride_width = 2,
           .padding_height = 1,
           .padding_width = 1,
           .output_padding_height = 1,
           .output_padding_width = 1},
          PackedActivation::relu};
}

RmvpeBlocks take_blocks(std::int64_t count, std::int64_t in, std::int64_t out, const std::string& prefix,
                        NamedWeights& weights) {
  RmvpeBlocks blocks;
  for (std::int64_t i = 0; i < count; ++i) {
    blocks.emplace_back(i == 0 ? in : out, out, prefix + std::to_string(i) + ".", weights);
  }
  return blocks;
}

at::Tensor through(const RmvpeBlocks& blocks, at::Tensor x) {
  for (const auto& block : blocks) x = block(x);
  return x;
}

std::int64_t rounded_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

}  // namespace
}  // namespace rmvpe_detail

std::int64_t RmvpeShape::context_frames() const {
  const auto step = frame_step();
  // Each block sees 2 frames at its level's rate, each rise one more of the level below; the merging convolution 1.
  const auto encoder = 2 * blocks * (step - 1), bottom = 2 * blocks * bottom_layers * step;
  const auto decoder = (2 * blocks + 2) * (step - 1);
  return rmvpe_detail::rounded_up(encoder + bottom + decoder + 1, step);
}

RmvpeShape rmvpe_shape_of(const StateDict& weights) {
  const std::string first = "unet.encoder.layers.0.conv.0.conv.0.weight", recurrent = "fc.0.gru.weight_hh_l0";
  for (const auto& name : {first, recurrent}) {
    if (weights.contains(name) && weights.at(name).dim() >= 2) continue;
    fail(ErrorKind::checkpoint, "it has no '{}' among its {} tensors: it is not an RMVPE network; give rmvpe.pt", name,
         weights.size());
  }
  RmvpeShape shape;
  shape.levels = count_layers(weights, "unet.encoder.layers.", ".conv.0.conv.0.weight");
  shape.blocks = count_layers(weights, "unet.encoder.layers.0.conv.", ".conv.0.weight");
  shape.bottom_layers = count_layers(weights, "unet.intermediate.layers.", ".conv.0.conv.0.weight");
  shape.first_channels = weights.at(first).size(0);
  shape.recurrent_layers = count_layers(weights, "fc.0.gru.weight_hh_l", "");
  shape.hidden = weights.at(recurrent).size(1);
  if (shape.frame_step() > Rmvpe::kBands) {
    fail(ErrorKind::checkpoint, "it has {} levels, but {} mel bands can be halved {} times", shape.levels,
         Rmvpe::kBands, 7);
  }
  return shape;
}

RmvpeBlock::RmvpeBlock(std::int64_t in, std::int64_t out, const std::string& prefix, NamedWeights& weights)
    : first_(rmvpe_detail::take_convolution(in, out, prefix + "conv.0.", prefix + "conv.1.", weights)),
      second_(rmvpe_detail::take_convolution(out, out, prefix + "conv.3.", prefix + "conv.4.", weights)) {
  if (in == out) return;
  const auto weight = weights.take(prefix + "shortcut.weight", {out, in, 1, 1});
  shortcut_.emplace(weight, weights.take(prefix + "shortcut.bias", {out}).clone(), Conv2dOptions{});
}

at::Tensor RmvpeBlock::operator()(const at::Tensor& x) const {
  auto y = second_(first_(x));
  if (!shortcut_) return y.add_(x);
  shortcut_->add_to(y, x);
  return y;
}

Rmvpe::Rmvpe(const RmvpeShape& shape, NamedWeights& weights) : shape_(shape) {
  using namespace rmvpe_detail;
  input_ = take_norm(1, "unet.encoder.bn.", weights);
  auto channels = shape.first_channels;
  std::int64_t in = 1;
  for (std::int64_t level = 0; level < shape.levels; ++level, channels *= 2) {
    const auto prefix = "unet.encoder.layers." + std::to_string(level) + ".conv.";
    encoder_.push_back(take_blocks(shape.blocks, in, channels, prefix, weights));
    in = channels;
  }
  for (std::int64_t layer = 0; layer < shape.bottom_layers; ++layer) {
    const auto prefix = "unet.intermediate.layers." + std::to_string(layer) + ".conv.";
    bottom_.push_back(take_blocks(shape.blocks, layer == 0 ? channels / 2 : channels, channels, prefix, weights));
  }
  for (std::int64_t level = 0; level < shape.levels; ++level, channels /= 2) {
    const auto prefix = "unet.decoder.layers." + std::to_string(level) + ".";
    auto rise = take_rise(channels, channels / 2, prefix + "conv1.", weights);
    auto blocks = take_blocks(shape.blocks, channels, channels / 2, prefix + "conv2.", weights);
    decoder_.push_back({std::move(rise), std::move(blocks)});
  }
  const auto merge = weights.take("cnn.weight", {kMergedChannels, shape.first_channels, 3, 3});
  merge_.emplace(merge, weights.take("cnn.bias", {kMergedChannels}).clone(),
                 Conv2dOptions{.kernel_height = 3, .kernel_width = 3, .padding_height = 1, .padding_width = 1});
  for (std::int64_t layer = 0; layer < shape.recurrent_layers; ++layer) {
    recurrent_.emplace_back(layer == 0 ? kMergedChannels * kBands : 2 * shape.hidden, shape.hidden, layer, "fc.0.gru.",
                            weights);
  }
  output_weight_ = weights.take("fc.1.weight", {kBins, 2 * shape.hidden}).clone();
  output_bias_ = weights.take("fc.1.bias", {kBins}).clone();
}

// [1, 1, T, 128] -> [1, 3, T, 128]
at::Tensor Rmvpe::u_net(at::Tensor x) const {
  using rmvpe_detail::through;
  std::vector<at::Tensor> skipped;
  for (const auto& blocks : encoder_) {
    x = through(blocks, x);
    skipped.push_back(x);
    x = at::avg_pool2d(x, {2, 2});
  }
  for (const auto& blocks : bottom_) x = through(blocks, x);
  for (const auto& level : decoder_) {
    x = through(level.blocks, at::cat({level.rise(x), skipped.back()}, 1));
    skipped.pop_back();
  }
  return (*merge_)(x);
}

// mel [T, 128] -> [T, 3 * 128]
at::Tensor Rmvpe::features(const at::Tensor& mel) const {
  if (mel.dim() != 2 || mel.size(1) != kBands || mel.size(0) % shape_.frame_step() != 0) {
    fail(ErrorKind::internal, "RMVPE wants a multiple of {} frames of {} bands", shape_.frame_step(), kBands);
  }
  const auto normalised = mel * input_.scale + input_.shift;
  return u_net(normalised.view({1, 1, mel.size(0), kBands}))[0].transpose(0, 1).reshape({mel.size(0), -1});
}

at::Tensor Rmvpe::remembered(at::Tensor features) const {
  for (const auto& layer : recurrent_) features = layer(features);
  return features;
}

at::Tensor Rmvpe::salience(const at::Tensor& remembered) const {
  return at::linear(remembered, output_weight_, output_bias_).sigmoid_();
}

at::Tensor Rmvpe::operator()(const at::Tensor& mel) const { return salience(remembered(features(mel))); }

void Rmvpe::listen(std::span<const float> wave, const RmvpeChunks& chunks,
                   const std::function<void(const at::Tensor&)>& take) const {
  const auto n_frames = network_frames(std::ssize(wave));
  const auto total = rmvpe_detail::rounded_up(n_frames, shape_.frame_step());
  const auto context = chunks.context > 0 ? chunks.context : shape_.context_frames();
  const bool fits = total <= chunks.frames + 2 * context;  // no more than a piece in the middle takes
  auto all = at::empty({total, kMergedChannels * kBands}, at::kFloat);
  for (const auto& [keep, compute] : chunks_with_context(total, fits ? total : chunks.frames, context)) {
    const auto made = features(rmvpe_mel(wave, compute.first, compute.length()));
    all.narrow(0, keep.first, keep.length()).copy_(made.narrow(0, keep.first - compute.first, keep.length()));
  }
  all = remembered(std::move(all));
  for (std::int64_t first = 0; first < n_frames; first += chunks.frames) {
    take(salience(all.narrow(0, first, std::min(chunks.frames, n_frames - first))));
  }
}

}  // namespace melisma
