#include "models/rvc/decoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <numbers>

#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr double kSlope = 0.1;       // of every leaky ReLU but the last
constexpr double kLastSlope = 0.01;  // the RVC tools' default there; models are trained with it
constexpr double kSineAmplitude = 0.1;
constexpr double kVoicedNoise = 0.003;
constexpr double kUnvoicedNoise = kSineAmplitude / 3;

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

at::Tensor wrapped(const at::Tensor& cycles) { return cycles - at::floor(cycles); }

}  // namespace

SourceModule::SourceModule(std::int64_t sample_rate_hz, std::int64_t hop) : sample_rate_hz_(sample_rate_hz), hop_(hop) {
  merge_ = make_child<Linear>("l_linear", 1, 1);
}

at::Tensor SourceModule::cycles_after(const at::Tensor& f0_hz, const at::Tensor& start_cycles) const {
  const c10::NoGradGuard no_grad;
  const auto a_frame = f0_hz.to(at::kDouble) * (static_cast<double>(hop_) / static_cast<double>(sample_rate_hz_));
  auto total = at::cumsum(wrapped(a_frame), 1);  // [B, T]
  if (start_cycles.defined()) total = total + start_cycles.unsqueeze(1);
  return wrapped(total);
}

at::Tensor SourceModule::sine(const at::Tensor& f0_hz, const at::Tensor& start_cycles) const {
  const c10::NoGradGuard no_grad;
  const auto batch = f0_hz.size(0), frames = f0_hz.size(1);
  const auto a_sample = f0_hz.to(at::kDouble) / static_cast<double>(sample_rate_hz_);  // [B, T] cycles
  auto start = at::zeros({batch, frames}, a_sample.options());
  if (start_cycles.defined()) start.select(1, 0).copy_(start_cycles);
  start.slice(1, 1).copy_(cycles_after(f0_hz, start_cycles).slice(1, 0, frames - 1));
  const auto within = at::arange(1, hop_ + 1, a_sample.options());                      // [hop]
  const auto cycles = start.unsqueeze(2) + a_sample.unsqueeze(2) * within;              // [B, T, hop]
  const auto angle = wrapped(cycles).to(f0_hz.scalar_type()) * (2 * std::numbers::pi);  // [B, T, hop]
  return at::sin(angle).view({batch, frames * hop_});
}

at::Tensor SourceModule::operator()(const at::Tensor& f0_hz, const at::Tensor& noise,
                                    const at::Tensor& start_cycles) const {
  at::Tensor excitation;  // [B, N, 1]
  {
    const c10::NoGradGuard no_grad;
    const auto voiced = (f0_hz > 0).to(f0_hz.scalar_type()).repeat_interleave(hop_, 1);  // [B, N]
    excitation = (sine(f0_hz, start_cycles) * kSineAmplitude * voiced).unsqueeze(2);
    if (noise.defined()) {
      const auto amplitude = voiced * kVoicedNoise + (1 - voiced) * kUnvoicedNoise;
      excitation = excitation + amplitude.unsqueeze(2) * noise;
    }
  }
  return at::tanh((*merge_)(excitation)).transpose(1, 2);
}

ResidualBlock::ResidualBlock(std::int64_t channels, std::int64_t kernel, const std::vector<std::int64_t>& dilations,
                             bool weight_norm) {
  const auto add = [&](const char* group, std::size_t index, std::int64_t dilation) {
    return make_child<Conv1d>(std::string(group) + std::to_string(index), channels, channels,
                              ConvOptions{.kernel = kernel,
                                          .padding = (kernel - 1) * dilation / 2,
                                          .dilation = dilation,
                                          .weight_norm = weight_norm});
  };
  for (std::size_t i = 0; i < dilations.size(); ++i) dilated_.push_back(add("convs1.", i, dilations[i]));
  for (std::size_t i = 0; i < dilations.size(); ++i) plain_.push_back(add("convs2.", i, 1));
}

at::Tensor ResidualBlock::operator()(at::Tensor x) const {
  for (std::size_t i = 0; i < dilated_.size(); ++i) {
    auto inner = (*dilated_[i])(at::leaky_relu(x, kSlope));
    x = (*plain_[i])(at::leaky_relu_(inner, kSlope)) + x;
  }
  return x;
}

Generator::Generator(const RvcConfig& config, bool weight_norm) {
  if (config.use_f0) source_ = make_child<SourceModule>("m_source", config.sample_rate_hz, config.hop);
  const auto& rates = config.upsample_rates;
  pre_ = make_child<Conv1d>("conv_pre", config.inter_channels, config.upsample_initial_channels,
                            ConvOptions{.kernel = 7, .padding = 3});
  auto channels = config.upsample_initial_channels;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const auto narrower = decoder_channels(config, i);
    up_.push_back(make_child<ConvTranspose1d>("ups." + std::to_string(i), channels, narrower,
                                              upsampling(rates[i], config.upsample_kernels[i], weight_norm)));
    channels = narrower;
  }
  std::int64_t factor = config.hop;
  for (std::size_t i = 0; config.use_f0 && i < rates.size(); ++i) {
    factor /= rates[i];
    from_source_.push_back(
        make_child<Conv1d>("noise_convs." + std::to_string(i), 1, decoder_channels(config, i), downsampling(factor)));
  }
  for (std::size_t i = 0; i < rates.size(); ++i) {
    for (const auto kernel : config.resblock_kernels) {
      blocks_.push_back(make_child<ResidualBlock>("resblocks." + std::to_string(blocks_.size()),
                                                  decoder_channels(config, i), kernel, config.resblock_dilations,
                                                  weight_norm));
    }
  }
  post_ = make_child<Conv1d>("conv_post", channels, 1, ConvOptions{.kernel = 7, .padding = 3, .bias = false});
  condition_ = make_child<Conv1d>("cond", config.speaker_channels, config.upsample_initial_channels);
}

const SourceModule& Generator::source() const {
  if (!source_) fail(ErrorKind::internal, "this decoder has no f0 source");
  return *source_;
}

at::Tensor Generator::operator()(const at::Tensor& z, const at::Tensor& speaker, const at::Tensor& source) const {
  auto x = (*pre_)(z) + (*condition_)(speaker);
  const auto n_blocks = blocks_.size() / up_.size();
  for (std::size_t stage = 0; stage < up_.size(); ++stage) {
    x = (*up_[stage])(at::leaky_relu_(x, kSlope));
    if (source_) x = x + (*from_source_[stage])(source);
    at::Tensor sum;
    for (std::size_t block = 0; block < n_blocks; ++block) {
      const auto made = (*blocks_[stage * n_blocks + block])(x);
      sum = block == 0 ? made : sum + made;
    }
    x = sum / static_cast<double>(n_blocks);
  }
  return at::tanh((*post_)(at::leaky_relu_(x, kLastSlope)));
}

}  // namespace melisma
