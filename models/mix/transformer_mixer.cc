#include "models/mix/transformer_mixer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <string>

#include "data/signal/stft_loss.h"
#include "tools/base/error.h"

namespace melisma {
namespace transformer_mixer {
namespace {

constexpr std::string_view kBody = "residual";
constexpr std::int64_t kInnerFactor = 4;

MixModelConfig checked(const MixModelConfig& config) {
  const auto& sizes = config.transformer;
  if (sizes.width % sizes.heads != 0) {
    fail(ErrorKind::config, "transformer.heads = {} does not divide transformer.width = {}", sizes.heads, sizes.width);
  }
  return config;
}

}  // namespace
}  // namespace transformer_mixer

AttentionBlock::AttentionBlock(std::int64_t width, std::int64_t heads, double dropout)
    : heads_(heads),
      dropout_(dropout),
      attention_norm_(width),
      to_qkv_(width, 3 * width),
      from_heads_(width, width),
      inner_norm_(width),
      widen_(width, transformer_mixer::kInnerFactor * width),
      narrow_(transformer_mixer::kInnerFactor * width, width) {
  child("attention_norm", attention_norm_);
  child("to_qkv", to_qkv_);
  child("from_heads", from_heads_);
  child("inner_norm", inner_norm_);
  child("widen", widen_);
  child("narrow", narrow_);
}

at::Tensor AttentionBlock::operator()(const at::Tensor& x, const at::Tensor& counted) const {
  const auto b = x.size(0), s = x.size(1), width = x.size(2);
  const auto parts = to_qkv_(attention_norm_(x)).view({b, s, 3, heads_, width / heads_}).permute({2, 0, 3, 1, 4});
  const auto scores = at::matmul(parts[0], parts[1].transpose(-1, -2)) /
                      std::sqrt(static_cast<double>(width / heads_));  // [B, heads, S, S]
  const auto unseen = counted.logical_not().view({b, 1, 1, s});
  const auto weights = at::softmax(scores.masked_fill(unseen, -1e9), -1);
  const auto looked = at::matmul(weights, parts[2]).transpose(1, 2).reshape({b, s, width});
  const auto y = x + dropout(from_heads_(looked), dropout_);
  return y + dropout(narrow_(at::gelu(widen_(inner_norm_(y)))), dropout_);
}

TransformerMixer::Tokens::Tokens(std::int64_t width) {
  track = parameter("track", at::zeros({width}));
  reference = parameter("reference", at::zeros({2, width}));
  master = parameter("master", at::zeros({width}));
  reverb = parameter("reverb", at::zeros({width}));
}

TransformerMixer::TransformerMixer(const MixModelConfig& config)
    : config_(transformer_mixer::checked(config)),
      console_(config.sample_rate_hz),
      track_encoder_(1, config.channels, config.blocks, config.transformer.width, transformer_mixer::kBody),
      tokens_(config.transformer.width),
      norm_(config.transformer.width),
      track_head_(config.transformer.width, neutral_parts_of(kTrackParameters, config.sample_rate_hz)),
      master_head_(config.transformer.width, neutral_parts_of(kMasterParameters, config.sample_rate_hz)) {
  const auto& sizes = config_.transformer;
  child("track_encoder", track_encoder_);
  if (sizes.reference) {
    reference_encoder_ = make_child<SpectrogramEncoder>("reference_encoder", 1, config_.channels, config_.blocks,
                                                        sizes.width, transformer_mixer::kBody);
  }
  child("tokens", tokens_);
  for (std::int64_t i = 0; i < sizes.layers; ++i) {
    layers_.push_back(
        make_child<AttentionBlock>("layers." + std::to_string(i), sizes.width, sizes.heads, sizes.dropout));
  }
  child("norm", norm_);
  child("track_head", track_head_);
  child("master_head", master_head_);
  if (config_.reverb) {
    reverb_head_ = make_child<ConsoleHead>("reverb_head", sizes.width,
                                           neutral_parts_of(kReverbParameters, config_.sample_rate_hz));
  }
}

void TransformerMixer::initialise(at::Generator& generator) {
  Module::initialise(generator);
  const c10::NoGradGuard no_grad;
  for (const auto& [name, token] : tokens_.parameters()) {
    token.copy_(at::randn(token.sizes(), generator, at::TensorOptions().dtype(at::kFloat)) * .1);
  }
}

ConsoleControls TransformerMixer::predict(const MixInput& input) const {
  const auto b = input.tracks.size(0), t = input.tracks.size(1);
  const auto heard = mix_mel(input.tracks.reshape({b * t, -1}), config_.mel, config_.sample_rate_hz);
  std::vector<at::Tensor> tokens{track_encoder_(heard).view({b, t, -1}) + tokens_.track};
  const auto booleans = at::TensorOptions().dtype(at::kBool).device(input.tracks.device());
  const auto all_of = [&](std::int64_t n) { return at::ones({b, n}, booleans); };
  std::vector<at::Tensor> counted{input.present.defined() ? input.present : all_of(t)};
  tokens.push_back(tokens_.master.expand({b, 1, -1}));
  tokens.push_back(tokens_.reverb.expand({b, 1, -1}));
  counted.push_back(all_of(2));
  if (reference_encoder_ && input.reference.defined()) {
    const auto sides = sum_and_difference(input.reference) / 2;
    const auto mel = mix_mel(sides.reshape({2 * b, -1}), config_.mel, config_.sample_rate_hz);
    tokens.push_back((*reference_encoder_)(mel).view({b, 2, -1}) + tokens_.reference);
    counted.push_back(all_of(2));
  }
  auto x = at::cat(tokens, 1);
  const auto seen = at::cat(counted, 1);
  for (const auto& layer : layers_) x = (*layer)(x, seen);
  x = norm_(x);
  ConsoleControls controls{track_head_(x.narrow(1, 0, t)), master_head_(x.select(1, t)), {}};
  if (reverb_head_) controls.reverb = (*reverb_head_)(x.select(1, t + 1));
  return controls;
}

MadeMix TransformerMixer::mix(const MixInput& input) const {
  const auto controls = predict(input);
  return {console_.mix_in_time(input.tracks, controls, input.present), controls};
}

std::unique_ptr<MixModel> make_mix_transformer(const MixModelConfig& config) {
  return std::make_unique<TransformerMixer>(config);
}

}  // namespace melisma
