#include "models/rvc/refinegan_decoder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "models/layers/wide.h"

namespace melisma {
namespace refinegan_detail {
namespace {

constexpr double kSlope = 0.2;
constexpr std::int64_t kKernel = 7;
constexpr double kFreshNoise = 1e-4;  // the learned noise a training starts with, as Applio's

// torchaudio's settings of the decimation.
constexpr double kZeroCrossings = 64, kRollOff = 0.9475937167399596, kKaiserBeta = 14.769656459379492;

ConvOptions same_length(bool weight_norm, bool bias = true) {
  return {.kernel = kKernel, .padding = (kKernel - 1) / 2, .bias = bias, .weight_norm = weight_norm};
}

at::Tensor leaky(const at::Tensor& x) { return at::leaky_relu(x, kSlope); }

// Sinc at `position` in zero crossings, windowed.
double windowed_sinc(double position) {
  const auto t = std::clamp(position, -kZeroCrossings, kZeroCrossings), share = t / kZeroCrossings;
  const auto window =
      std::cyl_bessel_i(0.0, kKaiserBeta * std::sqrt(1 - share * share)) / std::cyl_bessel_i(0.0, kKaiserBeta);
  const auto angle = t * std::numbers::pi;
  return (angle == 0 ? 1 : std::sin(angle) / angle) * window;
}

// Frames to each side: down the source's steps, through the latent's convolution, and up the residual blocks.
std::int64_t context_of(const RvcConfig& config, const std::vector<Decimator>& decimators) {
  constexpr double kHalf = (kKernel - 1) / 2.0;
  const auto kernel = *std::max_element(config.resblock_kernels.begin(), config.resblock_kernels.end());
  const auto blocks = static_cast<double>(ResidualBlock::reach(kernel, config.resblock_dilations));
  const auto n = config.upsample_rates.size();
  double frames = kHalf, rate = 1;
  for (std::size_t stage = 0; stage < n; ++stage) {
    frames += 1 / rate;  // interpolation
    rate *= static_cast<double>(config.upsample_rates[stage]);
    frames += (blocks + kHalf + static_cast<double>(decimators[n - 1 - stage].reach()) + kHalf) / rate;
  }
  return static_cast<std::int64_t>(std::ceil(frames)) + 3;
}

}  // namespace
}  // namespace refinegan_detail

Decimator::Decimator(std::int64_t factor) : factor_(factor) {
  using namespace refinegan_detail;
  if (factor == 1) return;
  const auto rate = static_cast<double>(factor);
  reach_ = static_cast<std::int64_t>(std::ceil(kZeroCrossings * rate / kRollOff));
  std::vector<float> taps;
  for (std::int64_t i = -reach_; i < reach_ + factor; ++i) {
    taps.push_back(static_cast<float>(windowed_sinc(static_cast<double>(i) / rate * kRollOff) * kRollOff / rate));
  }
  taps_ = at::tensor(taps).view({1, 1, -1});
}

at::Tensor Decimator::operator()(const at::Tensor& x) const {
  if (factor_ == 1) return x;
  const auto rows = x.reshape({-1, 1, x.size(2)});
  const auto made = at::conv1d(rows, taps_.to(x.options()), {}, factor_, reach_);
  return made.view({x.size(0), x.size(1), -1});
}

LearnedNoise::LearnedNoise(std::int64_t channels) { weight_ = parameter("weight", at::zeros({channels})); }

at::Tensor LearnedNoise::operator()(const at::Tensor& x, const at::Tensor& noise) const {
  return refinegan_detail::leaky(noise.defined() ? x + noise * weight_.unsqueeze(1) : x);
}

void LearnedNoise::initialise(at::Generator&) { weight_.detach().fill_(refinegan_detail::kFreshNoise); }

ParallelBlocks::ParallelBlocks(std::int64_t in, std::int64_t out, const RvcConfig& config, bool weight_norm) {
  using namespace refinegan_detail;
  input_ = make_child<Conv1d>("input_conv", in, out, same_length(false));
  for (std::size_t i = 0; i < config.resblock_kernels.size(); ++i) {
    const auto part = [&](int number) { return fmt::format("blocks.{}.{}", i, number); };
    before_.push_back(make_child<LearnedNoise>(part(0), out));
    blocks_.push_back(make_child<ResidualBlock>(part(1), out, config.resblock_kernels[i], config.resblock_dilations,
                                                ResidualBlockOptions{.weight_norm = weight_norm, .slope = kSlope}));
    after_.push_back(make_child<LearnedNoise>(part(2), out));
  }
}

at::Tensor ParallelBlocks::operator()(const at::Tensor& x, const LayerNoise& noise, std::int64_t& call) const {
  const auto made = (*input_)(x);
  const auto drawn = [&] { return noise ? noise(call++, made.sizes()) : at::Tensor(); };
  at::Tensor sum;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const auto refined = (*blocks_[i])((*before_[i])(made, drawn()));
    const auto branch = (*after_[i])(refined, drawn());
    sum = sum.defined() ? sum + branch : branch;
  }
  return sum / static_cast<double>(blocks_.size());
}

RefineGanDecoder::RefineGanDecoder(const RvcConfig& config, bool weight_norm) : rates_(config.upsample_rates) {
  using namespace refinegan_detail;
  source_ = make_child<SourceModule>(
      "m_source", config.sample_rate_hz, config.hop,
      SourceForm{.sines = vocoder_of(config).sines, .interpolates_f0 = true, .merge = "merge.0", .merge_bias = false});
  const auto half = config.upsample_initial_channels / 2;  // at the frame rate: of the latent, and of the source
  auto channels = half >> rates_.size();
  pre_ = make_child<Conv1d>("pre_conv", 1, channels, same_length(weight_norm));
  for (std::size_t i = 0; i < rates_.size(); ++i) {
    decimators_.emplace_back(rates_[rates_.size() - 1 - i]);
    down_.push_back(
        make_child<Conv1d>(fmt::format("downsample_blocks.{}", i), channels, 2 * channels, same_length(weight_norm)));
    channels *= 2;
  }
  latent_ = make_child<Conv1d>("mel_conv", config.inter_channels, half, same_length(weight_norm));
  condition_ = make_child<Conv1d>("cond", config.speaker_channels, half);
  for (std::size_t stage = 0; stage < rates_.size(); ++stage) {
    const auto out = decoder_channels(config, stage);
    up_.push_back(make_child<ParallelBlocks>(fmt::format("upsample_conv_blocks.{}", stage), 2 * out + out / 2, out,
                                             config, weight_norm));
  }
  post_ = make_child<Conv1d>("conv_post", decoder_channels(config, rates_.size() - 1), 1,
                             same_length(weight_norm, /*bias=*/false));
  context_frames_ = context_of(config, decimators_);
}

at::Tensor RefineGanDecoder::decode(const at::Tensor& z, const at::Tensor& speaker, const at::Tensor& source,
                                    const LayerNoise& noise) const {
  using namespace refinegan_detail;
  auto x = (*pre_)(source);
  std::vector<at::Tensor> levels;  // the source at the audio rate and, slower and wider, at each rate below
  for (std::size_t i = 0; i < down_.size(); ++i) {
    levels.push_back(leaky(x));
    x = (*down_[i])(decimators_[i](levels.back()));
  }
  x = at::cat({(*latent_)(z) + (*condition_)(speaker), x}, 1);  // [B, initial, T]
  std::int64_t call = 0;
  for (std::size_t stage = 0; stage < up_.size(); ++stage) {
    const auto wider = at::upsample_linear1d(leaky(x), {x.size(2) * rates_[stage]}, /*align_corners=*/false);
    x = (*up_[stage])(at::cat({wider, levels[levels.size() - 1 - stage]}, 1), noise, call);
  }
  const WideArithmetic whole;  // 16 bits of a float are too few for audio
  return at::tanh((*post_)(leaky(wide(x))));
}

}  // namespace melisma
