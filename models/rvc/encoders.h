// The synthesizer's encoders: text (content and pitch to prior), WaveNet, posterior, and the flow between them.
#pragma once
#include <memory>
#include <vector>

#include "models/layers/layers.h"
#include "models/rvc/config.h"

namespace melisma {

// [B] lengths -> [B, 1, frames] with 1 where frame < length.
[[nodiscard]] at::Tensor sequence_mask(const at::Tensor& lengths, std::int64_t frames, at::ScalarType type,
                                       at::Device device = at::kCPU);

// Means and log standard deviations of a normal distribution a frame, [B, inter, T] each.
struct LatentStatistics {
  at::Tensor mean, log_std;
};

// Self-attention with learned relative positions up to 10 frames away, shared by the heads (Shaw et al. 2018).
class RelativeAttention final : public Module {
 public:
  RelativeAttention(std::int64_t channels, std::int64_t n_heads);
  // x [B, C, T], attention_mask [B, 1, T, T] -> [B, C, T]
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const at::Tensor& attention_mask) const;
  void initialise(at::Generator& generator) override;

 private:
  std::int64_t n_heads_, head_channels_;
  at::Tensor key_positions_, value_positions_;  // [1, 21, head channels]
  Owned<Conv1d> query_, key_, value_, out_;
};

// Two convolutions with "same" padding and a ReLU between.
class FeedForward final : public Module {
 public:
  FeedForward(std::int64_t channels, std::int64_t filter_channels, std::int64_t kernel);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const at::Tensor& mask) const;

 private:
  std::int64_t kernel_;
  Owned<Conv1d> first_, second_;
};

// Attention and feed-forward layers, each followed by a residual and a norm.
class AttentionEncoder final : public Module {
 public:
  AttentionEncoder(std::int64_t channels, std::int64_t filter_channels, std::int64_t n_heads, std::int64_t n_layers,
                   std::int64_t kernel);
  // x [B, C, T], mask [B, 1, T] -> [B, C, T].
  [[nodiscard]] at::Tensor operator()(at::Tensor x, const at::Tensor& mask) const;

 private:
  std::vector<Owned<RelativeAttention>> attention_;
  std::vector<Owned<ChannelLayerNorm>> norm_1_, norm_2_;
  std::vector<Owned<FeedForward>> feed_forward_;
};

class TextEncoder final : public Module {
 public:
  explicit TextEncoder(const RvcConfig& config);
  // content [B, T, W], coarse_pitch int64 [B, T] in 1..255 (ignored without f0), mask [B, 1, T].
  [[nodiscard]] LatentStatistics operator()(const at::Tensor& content, const at::Tensor& coarse_pitch,
                                            const at::Tensor& mask) const;

 private:
  std::int64_t hidden_;
  Owned<Linear> content_;
  Owned<Embedding> pitch_;
  Owned<AttentionEncoder> encoder_;
  Owned<Conv1d> projection_;
};

// Gated convolutions with residual and skip paths, conditioned on the speaker (WaveNet; all dilations 1).
class WaveNet final : public Module {
 public:
  WaveNet(std::int64_t channels, std::int64_t kernel, std::int64_t n_layers, std::int64_t speaker_channels,
          bool weight_norm);
  // x [B, C, T], mask [B, 1, T], speaker [B, S, 1] -> [B, C, T]
  [[nodiscard]] at::Tensor operator()(at::Tensor x, const at::Tensor& mask, const at::Tensor& speaker) const;

 private:
  std::int64_t channels_;
  std::vector<Owned<Conv1d>> in_, out_;
  Owned<Conv1d> condition_;
};

// Spectrogram to latent; used in training only.
class PosteriorEncoder final : public Module {
 public:
  PosteriorEncoder(const RvcConfig& config, bool weight_norm);
  // spectrum [B, n_fft / 2 + 1, T]
  [[nodiscard]] LatentStatistics operator()(const at::Tensor& spectrum, const at::Tensor& mask,
                                            const at::Tensor& speaker) const;

 private:
  Owned<Conv1d> pre_;
  Owned<WaveNet> encoder_;
  Owned<Conv1d> projection_;
};

// One half of the channels shifted by a function of the other.
class CouplingLayer final : public Module {
 public:
  CouplingLayer(const RvcConfig& config, bool weight_norm);
  [[nodiscard]] at::Tensor forward(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& speaker) const;
  [[nodiscard]] at::Tensor reverse(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& speaker) const;
  void initialise(at::Generator& generator) override;

 private:
  [[nodiscard]] at::Tensor shift(const at::Tensor& half, const at::Tensor& mask, const at::Tensor& speaker) const;
  std::int64_t half_;
  Owned<Conv1d> pre_;
  Owned<WaveNet> encoder_;
  Owned<Conv1d> post_;
};

// Four coupling layers, the channels reversed after each: posterior latent <-> prior latent, volume preserving.
class Flow final : public Module {
 public:
  Flow(const RvcConfig& config, bool weight_norm);
  // [B, inter, T] -> [B, inter, T]; reverse(forward(z)) gives z back.
  [[nodiscard]] at::Tensor forward(at::Tensor z, const at::Tensor& mask, const at::Tensor& speaker) const;
  [[nodiscard]] at::Tensor reverse(at::Tensor z, const at::Tensor& mask, const at::Tensor& speaker) const;

 private:
  std::vector<Owned<CouplingLayer>> layers_;
};

}  // namespace melisma
