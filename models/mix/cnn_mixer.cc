#include "models/mix/cnn_mixer.h"

#include <ATen/ATen.h>

namespace melisma {
namespace cnn_mixer {
namespace {

constexpr std::int64_t kWidth = 128;  // of a track's vector

}  // namespace
}  // namespace cnn_mixer

CnnMixer::CnnMixer(const MixModelConfig& config)
    : config_(config),
      console_(config.sample_rate_hz),
      encoder_(2, config.channels, config.blocks, cnn_mixer::kWidth, config.cnn.body),
      track_head_(cnn_mixer::kWidth, neutral_parts_of(kTrackParameters, config.sample_rate_hz)),
      master_head_(cnn_mixer::kWidth, neutral_parts_of(kMasterParameters, config.sample_rate_hz)) {
  child("encoder", encoder_);
  child("track_head", track_head_);
  child("master_head", master_head_);
  if (config_.reverb) {
    reverb_head_ = make_child<ConsoleHead>("reverb_head", cnn_mixer::kWidth,
                                           neutral_parts_of(kReverbParameters, config_.sample_rate_hz));
  }
}

ConsoleControls CnnMixer::predict(const MixInput& input) const {
  const auto b = input.tracks.size(0), t = input.tracks.size(1);
  const auto mel = mix_mel(input.tracks.reshape({b * t, -1}), config_.mel, config_.sample_rate_hz);
  const auto tracks = mel.view({b, t, mel.size(2), mel.size(3)});
  const auto weights =
      (input.present.defined() ? input.present.to(tracks.options()) : at::ones({b, t}, tracks.options()))
          .view({b, t, 1, 1});
  const auto n = weights.sum(1, true).clamp_min(1);
  const auto mean = (tracks * weights).sum(1, true) / n;
  const auto heard = at::stack({tracks, mean.expand_as(tracks)}, 2).flatten(0, 1);  // [B T, 2, mels, frames]
  const auto vectors = encoder_(heard).view({b, t, -1});
  const auto whole = (vectors * weights.squeeze(-1)).sum(1) / n.view({b, 1});
  ConsoleControls controls{track_head_(vectors), master_head_(whole), {}};
  if (reverb_head_) controls.reverb = (*reverb_head_)(whole);
  return controls;
}

MadeMix CnnMixer::mix(const MixInput& input) const {
  const auto controls = predict(input);
  return {console_.mix_in_time(input.tracks, controls, input.present), controls};
}

std::unique_ptr<MixModel> make_mix_cnn(const MixModelConfig& config) { return std::make_unique<CnnMixer>(config); }

}  // namespace melisma
