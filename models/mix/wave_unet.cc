#include "models/mix/wave_unet.h"

#include <ATen/ATen.h>

#include <string>

#include "tools/base/error.h"

namespace melisma {

WaveUnetDown::WaveUnetDown(std::int64_t in, std::int64_t out, std::int64_t kernel)
    : conv1_(in, out, {.kernel = kernel, .padding = kernel / 2}),
      bn_(out),
      prelu_(out),
      conv2_(out, out, {.kernel = kernel, .stride = 2, .padding = kernel / 2}) {
  child("conv1", conv1_);
  child("bn", bn_);
  child("prelu", prelu_);
  child("conv2", conv2_);
}

std::pair<at::Tensor, at::Tensor> WaveUnetDown::operator()(const at::Tensor& x) const {
  auto skip = prelu_(bn_(conv1_(x)));
  auto halved = conv2_(skip);
  return {std::move(halved), std::move(skip)};
}

WaveUnetUp::WaveUnetUp(std::int64_t in, std::int64_t out, std::int64_t kernel)
    : conv_(in, out, {.kernel = kernel, .padding = kernel / 2}), bn_(out), prelu_(out) {
  child("conv", conv_);
  child("bn", bn_);
  child("prelu", prelu_);
}

at::Tensor WaveUnetUp::operator()(const at::Tensor& x, const at::Tensor& skip) const {
  const auto doubled = at::upsample_nearest1d(x, {skip.size(2)});
  return prelu_(bn_(conv_(at::cat({doubled, skip}, 1))));
}

MixWaveUnet::MixWaveUnet(const MixWaveUnetConfig& config) : config_(config) {
  if (config.kernel % 2 == 0 || config.output_kernel % 2 == 0) {
    fail(ErrorKind::config, "wave-u-net: kernels must be odd, not {} and {}", config.kernel, config.output_kernel);
  }
  std::int64_t channels = config.tracks;
  for (std::int64_t level = 0; level < config.levels; ++level) {
    const auto out = level == 0 ? config.growth : channels + config.growth;
    encoder_.push_back(make_child<WaveUnetDown>("encoder." + std::to_string(level), channels, out, config.kernel));
    channels = out;
  }
  embedding_ = make_child<Conv1d>("embedding", channels, channels);
  for (std::int64_t level = 0; level < config.levels; ++level) {
    const auto out = std::max(channels - config.growth, config.growth);
    decoder_.push_back(make_child<WaveUnetUp>("decoder." + std::to_string(level), 2 * channels, out, config.kernel));
    channels = out;
  }
  output_conv_ = make_child<Conv1d>("output_conv", channels + config.tracks, 2,
                                    ConvOptions{.kernel = config.output_kernel, .padding = config.output_kernel / 2});
}

at::Tensor MixWaveUnet::operator()(const at::Tensor& x) const {
  std::vector<at::Tensor> skips;
  auto inner = x;
  for (const auto& level : encoder_) {
    auto [halved, skip] = (*level)(inner);
    inner = std::move(halved);
    skips.push_back(std::move(skip));
  }
  inner = (*embedding_)(inner);
  for (const auto& level : decoder_) {
    inner = (*level)(inner, skips.back());
    skips.pop_back();
  }
  return (*output_conv_)(at::cat({x, inner}, 1));
}

MadeMix MixWaveUnet::mix(const MixInput& input) const {
  const auto& tracks = input.tracks;
  if (tracks.size(1) > config_.tracks) {
    fail(ErrorKind::data,
         "this wave-u-net takes {} tracks, not {}; mix some of them first, or use a model that takes any "
         "number",
         config_.tracks, tracks.size(1));
  }
  if (tracks.size(2) % length_step() != 0) {
    fail(ErrorKind::data, "this wave-u-net takes multiples of {} samples, not {}", length_step(), tracks.size(2));
  }
  auto heard = tracks;
  if (input.present.defined()) heard = heard * input.present.to(heard.options()).unsqueeze(-1);
  if (const auto missing = config_.tracks - tracks.size(1); missing > 0) {
    heard = at::constant_pad_nd(heard, {0, 0, 0, missing});
  }
  return {(*this)(heard), {}};
}

std::unique_ptr<MixModel> make_mix_wave_unet(const MixModelConfig& config) {
  return std::make_unique<MixWaveUnet>(config.wave_unet);
}

}  // namespace melisma
