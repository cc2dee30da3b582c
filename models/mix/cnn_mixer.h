// Console parameters by convolutions over spectrograms: each track's beside the mean of all.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>

#include "models/mix/mix_model.h"
#include "models/mix/spectrogram_encoder.h"

namespace melisma {

class CnnMixer final : public MixModel {
 public:
  explicit CnnMixer(const MixModelConfig& config);
  [[nodiscard]] MadeMix mix(const MixInput& input) const override;
  // Parameters follow their tracks whatever the order; the master's come from the mean of the tracks' vectors.
  [[nodiscard]] ConsoleControls predict(const MixInput& input) const override;

 private:
  MixModelConfig config_;
  Console console_;
  SpectrogramEncoder encoder_;
  ConsoleHead track_head_, master_head_;
  std::unique_ptr<ConsoleHead> reverb_head_;
};

}  // namespace melisma
