// From waves to mel spectrograms, and from these to one vector each: what the console's models hear with.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "data/signal/stft.h"
#include "models/layers/layers.h"
#include "models/layers/norms.h"
#include "models/mix/console_parameters.h"
#include "models/mix/mix_config.h"

namespace melisma {

// wave [R, N] -> mel power in dB against a sine of full scale, not below -100: [R, n_mels, frames]. Error(data) if N is
// too short for the padding.
[[nodiscard]] at::Tensor mix_mel_db(const at::Tensor& wave, const MixMelConfig& mel, std::int64_t sample_rate_hz,
                                    Padding padding = Padding::centre_reflect);
// wave [R, N] -> mel power in dB at full scale, from -80 to 0 and beyond, brought to about -1 ... 1: [R, 1, n_mels,
// frames]. Error(data) if N is not more than half a frame.
[[nodiscard]] at::Tensor mix_mel(const at::Tensor& wave, const MixMelConfig& mel, std::int64_t sample_rate_hz);

// A 3 x 3 convolution with margins of one.
[[nodiscard]] Conv2dOptions three_by_three(std::int64_t stride);

// Channels weighed by a glance at all of them: [B, C, H, W] -> [B, C, H, W].
class SqueezeExcitation : public Module {
 public:
  explicit SqueezeExcitation(std::int64_t channels);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;

 private:
  Linear squeeze_, excite_;
};

// One block over a spectrogram, halving both axes: [B, in, H, W] -> [B, out, ceil(H/2), ceil(W/2)].
class SpectrogramBlock : public Module {
 public:
  SpectrogramBlock(std::int64_t in, std::int64_t out, std::string_view body);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;

 private:
  Conv2d first_;
  GroupNorm first_norm_;
  std::unique_ptr<Conv2d> second_, beside_;
  std::unique_ptr<GroupNorm> second_norm_;
  std::unique_ptr<SqueezeExcitation> attention_;
};

// Blocks of doubling width, and a vector from what is left: mean and maximum over bands and time, or attention over
// time.
class SpectrogramEncoder : public Module {
 public:
  // `in` spectrograms beside each other; body of kMixCnnBodies.
  SpectrogramEncoder(std::int64_t in, std::int64_t channels, std::int64_t blocks, std::int64_t width,
                     std::string_view body);
  // [R, in, n_mels, frames] -> [R, width]
  [[nodiscard]] at::Tensor operator()(const at::Tensor& mel) const;

 private:
  std::vector<std::unique_ptr<SpectrogramBlock>> blocks_;
  std::unique_ptr<Linear> scores_;  // of attention over time, a head a column
  std::unique_ptr<Linear> out_;
};

// From vectors to console parameters: [..., in] -> [..., parameters] in 0 ... 1, at first the neutral ones.
class ConsoleHead : public Module {
 public:
  ConsoleHead(std::int64_t in, std::span<const double> neutral_parts);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
  void initialise(at::Generator& generator) override;

 private:
  Linear hidden_, out_;
  std::vector<double> neutral_;
};

// The neutral parts of a table of parameters.
[[nodiscard]] std::vector<double> neutral_parts_of(std::span<const ConsoleParameter> parameters,
                                                   std::int64_t sample_rate_hz);

}  // namespace melisma
