// From samples to frames: HuBERT's convolutions, computed in tiles that stay in the cache.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "models/content/hubert_config.h"
#include "models/layers/module.h"
#include "models/layers/packed_matrix.h"

namespace melisma {

// Parameters conv_layers.{i}.conv.weight [out, in, kernel] (and bias), conv_layers.0.layer_norm.{weight, bias}: a group
// norm with one group a channel, over the whole clip. GELU after each layer. Inference only, after fold(true).
class ConvolutionStack final : public Module {
 public:
  explicit ConvolutionStack(const HubertConfig& config, at::ScalarType arithmetic);
  void fold(bool on) override;
  // Mono wave at 16 kHz -> [frames, channels]. The wave must give at least one frame.
  [[nodiscard]] at::Tensor operator()(std::span<const float> wave) const;

 private:
  // One layer as matrix products: weight [out, taps * in] of neighbouring taps, at most as many as the stride, so that
  // the rows multiplied with do not overlap in memory.
  struct Part {
    std::int64_t first_tap = 0;
    PackedMatrix weight;
  };
  // The first layer for one clip, its group norm worked into weight [taps, out] and bias [out].
  struct FirstLayer {
    at::Tensor windows, weight, bias;  // windows [n, taps]: a view of the wave
  };
  [[nodiscard]] FirstLayer normalised_first_layer(std::span<const float> wave) const;
  void compute(std::size_t layer, std::int64_t first, const at::Tensor& out, const FirstLayer& first_layer,
               std::vector<at::Tensor>& scratch) const;

  HubertConfig config_;
  at::ScalarType arithmetic_;
  std::vector<at::Tensor> weights_, biases_;
  at::Tensor scale_, shift_;
  std::vector<std::vector<Part>> parts_;  // of each layer but the first; empty until folded
};

}  // namespace melisma
