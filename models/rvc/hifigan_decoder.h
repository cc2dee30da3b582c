// HiFi-GAN (Kong et al. 2020) excited by a source, as RVC uses it: vocoders "hifigan" and "mrf".
#pragma once
#include <vector>

#include "models/rvc/decoder.h"

namespace melisma {

// "mrf" differs in its source of nine sines, in names, and in that the first and the last convolution have weight norm
// and the last a bias.
class HifiganDecoder final : public Decoder {
 public:
  HifiganDecoder(const RvcConfig& config, bool weight_norm);
  [[nodiscard]] std::int64_t context_frames() const override { return context_frames_; }

 private:
  [[nodiscard]] at::Tensor decode(const at::Tensor& z, const at::Tensor& speaker, const at::Tensor& source,
                                  const LayerNoise& noise) const override;

  std::int64_t context_frames_;
  Owned<Conv1d> pre_, condition_, post_;
  std::vector<Owned<ConvTranspose1d>> up_;
  std::vector<Owned<Conv1d>> from_source_;
  std::vector<Owned<ResidualBlock>> blocks_;  // stages x kernels
};

}  // namespace melisma
