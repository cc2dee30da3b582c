// Console parameters by attention among tracks: as the controller of Diff-MST, without an order among tracks, and with
// or without a reference song.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "models/mix/mix_model.h"
#include "models/mix/spectrogram_encoder.h"

namespace melisma {

// Self-attention and a two-layer network, each after a layer norm and added to what went in: [B, S, width].
class AttentionBlock : public Module {
 public:
  AttentionBlock(std::int64_t width, std::int64_t heads, double dropout);
  // counted [B, S] bool: tokens that are looked at.
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const at::Tensor& counted) const;

 private:
  std::int64_t heads_;
  double dropout_;
  TokenNorm attention_norm_;
  Linear to_qkv_, from_heads_;
  TokenNorm inner_norm_;
  Linear widen_, narrow_;
};

class TransformerMixer final : public MixModel {
 public:
  // Error(config) if heads do not divide the width, or width is no multiple of two.
  explicit TransformerMixer(const MixModelConfig& config);
  [[nodiscard]] MadeMix mix(const MixInput& input) const override;
  // The order of tracks has no part in it: parameters follow their tracks. What is not present changes nothing.
  [[nodiscard]] ConsoleControls predict(const MixInput& input) const override;
  void initialise(at::Generator& generator) override;

 private:
  struct Tokens : Module {  // one learned vector a kind of token
    explicit Tokens(std::int64_t width);
    at::Tensor track, reference, master, reverb;
  };
  MixModelConfig config_;
  Console console_;
  SpectrogramEncoder track_encoder_;
  std::unique_ptr<SpectrogramEncoder> reference_encoder_;
  Tokens tokens_;
  std::vector<std::unique_ptr<AttentionBlock>> layers_;
  TokenNorm norm_;
  ConsoleHead track_head_, master_head_;
  std::unique_ptr<ConsoleHead> reverb_head_;
};

}  // namespace melisma
