#include "models/mix/spectrogram_encoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "data/signal/mel.h"

namespace melisma {
namespace spectrogram_encoder {
namespace {

constexpr std::int64_t kHeads = 4;  // of attention over time
constexpr std::int64_t kMostGrowth = 8;

}  // namespace
}  // namespace spectrogram_encoder

Conv2dOptions three_by_three(std::int64_t stride) {
  return {.kernel_height = 3,
          .kernel_width = 3,
          .stride_height = stride,
          .stride_width = stride,
          .padding_height = 1,
          .padding_width = 1};
}

at::Tensor mix_mel_db(const at::Tensor& wave, const MixMelConfig& mel, std::int64_t sample_rate_hz, Padding padding) {
  const auto spectrum = stft(wave, {.n_fft = mel.n_fft, .hop = mel.hop, .window = mel.n_fft, .padding = padding});
  const MelConfig bank{.sample_rate_hz = sample_rate_hz, .n_fft = mel.n_fft, .n_mels = mel.n_mels};
  const double full_scale = static_cast<double>(mel.n_fft) / 4;  // magnitude of a sine of amplitude 1
  return power_to_db(to_mel(power(spectrum), bank), full_scale * full_scale, 1e-10, std::nullopt).clamp_min(-100);
}

at::Tensor mix_mel(const at::Tensor& wave, const MixMelConfig& mel, std::int64_t sample_rate_hz) {
  return (mix_mel_db(wave, mel, sample_rate_hz) / 50 + 1).unsqueeze(1);
}

SqueezeExcitation::SqueezeExcitation(std::int64_t channels)
    : squeeze_(channels, std::max<std::int64_t>(channels / 4, 4)),
      excite_(std::max<std::int64_t>(channels / 4, 4), channels) {
  child("squeeze", squeeze_);
  child("excite", excite_);
}

at::Tensor SqueezeExcitation::operator()(const at::Tensor& x) const {
  const auto weights = at::sigmoid(excite_(at::relu(squeeze_(x.mean({2, 3})))));
  return x * weights.unsqueeze(-1).unsqueeze(-1);
}

SpectrogramBlock::SpectrogramBlock(std::int64_t in, std::int64_t out, std::string_view body)
    : first_(in, out, three_by_three(2)), first_norm_(out) {
  child("first", first_);
  child("first_norm", first_norm_);
  if (body == "plain") return;
  second_ = make_child<Conv2d>("second", out, out, three_by_three(1));
  second_norm_ = make_child<GroupNorm>("second_norm", out);
  beside_ = make_child<Conv2d>("beside", in, out, Conv2dOptions{.stride_height = 2, .stride_width = 2});
  if (body == "attention") attention_ = make_child<SqueezeExcitation>("attention", out);
}

at::Tensor SpectrogramBlock::operator()(const at::Tensor& x) const {
  auto inner = at::relu(first_norm_(first_(x)));
  if (!second_) return inner;
  inner = (*second_norm_)((*second_)(inner));
  if (attention_) inner = (*attention_)(inner);
  return at::relu(inner + (*beside_)(x));
}

SpectrogramEncoder::SpectrogramEncoder(std::int64_t in, std::int64_t channels, std::int64_t blocks, std::int64_t width,
                                       std::string_view body) {
  using spectrogram_encoder::kHeads;
  for (std::int64_t i = 0; i < blocks; ++i) {
    const auto out = channels * std::min(std::int64_t{1} << (i / 2), spectrogram_encoder::kMostGrowth);
    blocks_.push_back(make_child<SpectrogramBlock>("blocks." + std::to_string(i), in, out, body));
    in = out;
  }
  if (body == "attention") scores_ = make_child<Linear>("scores", in, kHeads);
  out_ = make_child<Linear>("out", body == "attention" ? in * kHeads : 2 * in, width);
}

at::Tensor SpectrogramEncoder::operator()(const at::Tensor& mel) const {
  auto x = mel;
  for (const auto& block : blocks_) x = (*block)(x);
  if (!scores_) return (*out_)(at::cat({x.mean({2, 3}), x.amax({2, 3})}, 1));
  const auto steps = x.mean(2).transpose(1, 2);            // [R, frames, C]
  const auto weights = at::softmax((*scores_)(steps), 1);  // [R, frames, heads]
  return (*out_)(at::matmul(weights.transpose(1, 2), steps).flatten(1));
}

ConsoleHead::ConsoleHead(std::int64_t in, std::span<const double> neutral_parts)
    : hidden_(in, in),
      out_(in, static_cast<std::int64_t>(neutral_parts.size())),
      neutral_(neutral_parts.begin(), neutral_parts.end()) {
  child("hidden", hidden_);
  child("out", out_);
}

at::Tensor ConsoleHead::operator()(const at::Tensor& x) const { return at::sigmoid(out_(at::gelu(hidden_(x)))); }

// Small weights, and biases whose sigmoid is the neutral part: untrained, a model mixes neutrally.
void ConsoleHead::initialise(at::Generator& generator) {
  Module::initialise(generator);
  const c10::NoGradGuard no_grad;
  constexpr double kSmall = .1, kMargin = .02;
  out_.weight.mul_(kSmall);
  for (std::size_t i = 0; i < neutral_.size(); ++i) {
    const double part = std::clamp(neutral_[i], kMargin, 1 - kMargin);
    out_.bias[static_cast<std::int64_t>(i)].fill_(std::log(part / (1 - part)));
  }
}

std::vector<double> neutral_parts_of(std::span<const ConsoleParameter> parameters, std::int64_t sample_rate_hz) {
  std::vector<double> parts;
  for (const auto& parameter : parameters) parts.push_back(parameter.part_of(parameter.neutral, sample_rate_hz));
  return parts;
}

}  // namespace melisma
