#include "models/rvc/hifigan_decoder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "models/layers/wide.h"

namespace melisma {
namespace hifigan_detail {
namespace {

constexpr double kSlope = 0.1;       // of every leaky ReLU but the last
constexpr double kLastSlope = 0.01;  // the RVC tools' default there; models are trained with it

// Transposed convolution from T to exactly T rate samples, as the RVC tools pad it (odd rates included).
ConvOptions upsampling(std::int64_t rate, std::int64_t kernel, bool weight_norm) {
  const bool odd = rate % 2 == 1;
  return {.kernel = kernel,
          .stride = rate,
          .padding = odd ? rate / 2 + rate % 2 : (kernel - rate) / 2,
          .output_padding = odd ? 1 : 0,
          .weight_norm = weight_norm};
}

// From the audio rate down by `factor`.
ConvOptions downsampling(std::int64_t factor) {
  if (factor == 1) return {};
  const auto kernel = 2 * factor - factor % 2;
  return {.kernel = kernel, .stride = factor, .padding = (kernel - factor) / 2};
}

// The first and last convolutions, then each stage's residual blocks (widest kernel) at its own rate.
std::int64_t context_of(const RvcConfig& config) {
  double frames = 3, rate = 1;
  const auto kernel = *std::max_element(config.resblock_kernels.begin(), config.resblock_kernels.end());
  const auto reach = static_cast<double>(ResidualBlock::reach(kernel, config.resblock_dilations));
  for (std::size_t stage = 0; stage < config.upsample_rates.size(); ++stage) {
    const auto here = static_cast<double>(config.upsample_rates[stage]);
    frames += static_cast<double>(config.upsample_kernels[stage]) / here / rate;
    rate *= here;
    frames += reach / rate;
  }
  return static_cast<std::int64_t>(std::ceil(frames)) + 2;
}

}  // namespace
}  // namespace hifigan_detail

HifiganDecoder::HifiganDecoder(const RvcConfig& config, bool weight_norm)
    : context_frames_(hifigan_detail::context_of(config)) {
  using namespace hifigan_detail;
  const bool is_mrf = config.vocoder == "mrf";
  if (config.use_f0) {
    source_ = make_child<SourceModule>("m_source", config.sample_rate_hz, config.hop,
                                       SourceForm{.sines = vocoder_of(config).sines});
  }
  const auto& rates = config.upsample_rates;
  pre_ = make_child<Conv1d>("conv_pre", config.inter_channels, config.upsample_initial_channels,
                            ConvOptions{.kernel = 7, .padding = 3, .weight_norm = is_mrf && weight_norm});
  auto channels = config.upsample_initial_channels;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const auto narrower = decoder_channels(config, i);
    up_.push_back(make_child<ConvTranspose1d>(fmt::format("{}.{}", is_mrf ? "upsamples" : "ups", i), channels, narrower,
                                              upsampling(rates[i], config.upsample_kernels[i], weight_norm)));
    channels = narrower;
  }
  std::int64_t factor = config.hop;
  for (std::size_t i = 0; config.use_f0 && i < rates.size(); ++i) {
    factor /= rates[i];
    from_source_.push_back(
        make_child<Conv1d>("noise_convs." + std::to_string(i), 1, decoder_channels(config, i), downsampling(factor)));
  }
  const ResidualBlockOptions options{.weight_norm = weight_norm, .slope = kSlope, .is_paired = is_mrf};
  for (std::size_t i = 0; i < rates.size(); ++i) {
    for (std::size_t j = 0; j < config.resblock_kernels.size(); ++j) {
      blocks_.push_back(make_child<ResidualBlock>(
          is_mrf ? fmt::format("mrfs.{}.{}", i, j) : fmt::format("resblocks.{}", blocks_.size()),
          decoder_channels(config, i), config.resblock_kernels[j], config.resblock_dilations, options));
    }
  }
  post_ =
      make_child<Conv1d>("conv_post", channels, 1,
                         ConvOptions{.kernel = 7, .padding = 3, .bias = is_mrf, .weight_norm = is_mrf && weight_norm});
  condition_ = make_child<Conv1d>("cond", config.speaker_channels, config.upsample_initial_channels);
}

at::Tensor HifiganDecoder::decode(const at::Tensor& z, const at::Tensor& speaker, const at::Tensor& source,
                                  const LayerNoise&) const {
  using namespace hifigan_detail;
  auto x = (*pre_)(z) + (*condition_)(speaker);
  const auto n_blocks = blocks_.size() / up_.size();
  for (std::size_t stage = 0; stage < up_.size(); ++stage) {
    x = (*up_[stage])(at::leaky_relu_(x, kSlope));
    if (source_) x = x + (*from_source_[stage])(source);
    x = wide(x);  // what blocks add to is not rounded, only what they multiply
    at::Tensor sum;
    for (std::size_t block = 0; block < n_blocks; ++block) {
      const auto made = (*blocks_[stage * n_blocks + block])(x);
      sum = block == 0 ? made : sum + made;
    }
    x = sum / static_cast<double>(n_blocks);
  }
  const WideArithmetic whole;  // 16 bits of a float are too few for audio
  x = wide(x);
  return at::tanh((*post_)(at::leaky_relu_(x, kLastSlope)));
}

}  // namespace melisma
