// The differentiable mixing console of automix-toolkit: an embedding of each track, beside the mean of all, becomes its
// gain and pan.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "models/layers/layers.h"
#include "models/layers/norms.h"
#include "models/mix/mix_model.h"

namespace melisma {

// A wave at one rate to another by a windowed sinc (Hann, six zeros each side, cut off at 0.99 of the lower Nyquist),
// as torchaudio.functional.resample does it. wave [R, N] -> [R, ceil(N to / from)].
[[nodiscard]] at::Tensor sinc_resampled(const at::Tensor& wave, std::int64_t from_hz, std::int64_t to_hz);

// Two strided convolutions with batch norms, and one beside them: [B, in, H, W] -> [B, out, ceil(H/2), ceil(W/2)].
class DmcBlock : public Module {
 public:
  DmcBlock(std::int64_t in, std::int64_t out);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;

 private:
  Conv2d conv_1_;
  BatchNorm bn_1_;
  Conv2d conv_2_;
  BatchNorm bn_2_;
  Conv2d conv_3_;
  BatchNorm bn_3_;
};

// Seven blocks over a mel spectrogram at 16 kHz (FFT 512, hop 256, 128 HTK bands to 8 kHz, in dB), the largest value of
// each channel over time, and a dense layer. The last layers of the published file, a classifier's, are carried along
// unused.
class DmcEncoder : public Module {
 public:
  DmcEncoder(std::int64_t sample_rate_hz, std::int64_t channels, std::int64_t classes = 50);
  // wave [R, N] of at least 129 frames at 16 kHz, 32768 samples -> [R, 128, frames] in dB.
  [[nodiscard]] at::Tensor mel_db(const at::Tensor& wave) const;
  // [R, N] -> [R, 4 channels]
  [[nodiscard]] at::Tensor operator()(const at::Tensor& wave) const;

 private:
  std::int64_t sample_rate_hz_;
  BatchNorm spec_bn_;
  std::vector<std::unique_ptr<DmcBlock>> layers_;
  std::unique_ptr<Linear> dense1_, dense2_;
  std::unique_ptr<BatchNorm> bn_;
};

// Linear layers with slopes between, and a sigmoid: [..., in] -> [..., out] in 0 ... 1.
class DmcHead : public Module {
 public:
  DmcHead(std::int64_t in, std::int64_t out);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;

 private:
  struct Layers : Module {
    Layers(std::int64_t in, std::int64_t out);
    Linear first;
    PRelu first_slope;
    Linear second;
    PRelu second_slope;
    Linear third;
  };
  Layers mlp_;
};

class Dmc final : public MixModel {
 public:
  Dmc(std::int64_t sample_rate_hz, std::int64_t channels, std::int64_t classes = 50);
  [[nodiscard]] MadeMix mix(const MixInput& input) const override;
  [[nodiscard]] ConsoleControls predict(const MixInput& input) const override;
  [[nodiscard]] PanLaw pan_law() const override { return PanLaw::constant_power; }

  // [B, T, N] -> embeddings [B, T, 4 channels].
  [[nodiscard]] at::Tensor embed(const at::Tensor& tracks) const;
  // -> gain in dB (-48 ... 24) and pan (0 ... 1), [B, T, 2].
  [[nodiscard]] at::Tensor gains_and_pans(const MixInput& input) const;
  // The mix block by block, each with parameters of its own, crossed over by Hann windows; ends mirrored.
  // tracks [B, T, N] -> [B, 2, N].
  [[nodiscard]] at::Tensor mix_in_blocks(const at::Tensor& tracks, std::int64_t block, std::int64_t hop) const;

 private:
  [[nodiscard]] static at::Tensor mixed(const at::Tensor& tracks, const at::Tensor& gains_and_pans,
                                        const at::Tensor& present);
  std::int64_t sample_rate_hz_;
  DmcEncoder encoder_;
  DmcHead post_processor_;
};

}  // namespace melisma
