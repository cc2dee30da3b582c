// FCPE: fast context-based pitch estimation, depthwise convolutions over mel bands (torchfcpe's CFNaiveMelPE without
// attention), with the weight names of the checkpoint that torchfcpe 0.0.4 brings.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "models/layers/packed_conv.h"
#include "models/pitch/front_end.h"
#include "models/pitch/named_weights.h"
#include "models/weights/model_file.h"

namespace melisma {

struct FcpeShape {
  FcpeMel mel;
  std::int64_t hidden = 512, inner = 1024;  // channels between the layers, and inside them
  std::int64_t layers = 6, kernel = 31, bins = 360;
  // Frames to each side that the output at a frame depends on, but for the mean and variance over the recording.
  [[nodiscard]] std::int64_t context_frames() const { return 2 + layers * (kernel / 2); }
};

// The shape of a file: sizes from its tensors, mel settings from its configuration where it has one. Throws
// Error(checkpoint) if it is no such network, has attention layers, or wants audio of another rate or hop.
[[nodiscard]] FcpeShape fcpe_shape_of(const ModelFile& file);

class Fcpe {
 public:
  Fcpe(const FcpeShape& shape, NamedWeights& weights);
  [[nodiscard]] const FcpeShape& shape() const { return shape_; }
  [[nodiscard]] const std::vector<float>& bin_cents() const { return bin_cents_; }  // of each bin, above 10 Hz

  // Mono wave at 16 kHz -> probabilities of its network_frames, handed to `take` as [n, bins], `chunk` frames at a
  // time. Pieces equal the whole within rounding: they are computed with context, and what the network normalises by is
  // measured over the whole recording first.
  void listen(std::span<const float> wave, const std::function<void(const at::Tensor&)>& take,
              std::int64_t chunk = 6000) const;

 private:
  // y = x + out(silu(depthwise(glu(in(norm(x))))))
  struct Layer {
    at::Tensor norm_weight, norm_bias;            // [hidden]
    at::Tensor in_weight, in_bias;                // [2 inner, hidden], [2 inner]
    at::Tensor depthwise_weight, depthwise_bias;  // [kernel, inner], [inner]
    at::Tensor out_weight, out_bias;              // [hidden, inner], [hidden]
  };
  struct GroupStatistics {
    at::Tensor mean, inverse_deviation;  // of each channel's group, [hidden]
  };
  static constexpr std::int64_t kGroups = 4;

  [[nodiscard]] at::Tensor first_convolution(std::span<const float> wave, std::int64_t first, std::int64_t count) const;
  [[nodiscard]] GroupStatistics measure(std::span<const float> wave, std::int64_t chunk) const;
  [[nodiscard]] at::Tensor apply(const Layer& layer, const at::Tensor& x) const;

  FcpeShape shape_;
  std::vector<float> bin_cents_;
  std::optional<PackedConv2d> first_, second_;  // over [1, channels, 1, T]
  at::Tensor group_weight_, group_bias_;
  std::vector<Layer> layers_;
  at::Tensor norm_weight_, norm_bias_, output_weight_, output_bias_;
};

}  // namespace melisma
