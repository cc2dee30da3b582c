// From samples to frames: HuBERT's convolutions, computed in tiles that stay in the cache.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "models/content/halving_convolution.h"
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
  // The same in LibTorch's own operations and without fold(): what other devices than the CPU do. wave [N], there.
  [[nodiscard]] at::Tensor plain(const at::Tensor& wave) const;

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
  // One later layer: as few products as there are.
  struct Layer {
    std::vector<Part> parts;
    std::optional<HalvingConvolution> halving;  // instead of parts
  };
  // What a thread works in, and what it works on.
  struct Work {
    FirstLayer first_layer;
    std::vector<std::int64_t> n_rows;  // that each layer makes of the whole clip
    std::vector<at::Tensor> rows;      // of each layer, a tile
    HalvingConvolution::Scratch halving;
  };
  [[nodiscard]] FirstLayer normalised_first_layer(std::span<const float> wave) const;
  void compute(std::size_t layer, std::int64_t first, const at::Tensor& out, Work& work) const;
  void compute_by_parts(std::size_t layer, std::int64_t first, const at::Tensor& out, Work& work) const;
  void compute_halving(std::size_t layer, std::int64_t first, const at::Tensor& out, Work& work) const;
  [[nodiscard]] at::Tensor rows_before(std::size_t layer, std::int64_t first, std::int64_t count, Work& work) const;

  HubertConfig config_;
  at::ScalarType arithmetic_;
  std::vector<at::Tensor> weights_, biases_;
  at::Tensor scale_, shift_;
  std::vector<Layer> layers_;  // all but the first; empty until folded
};

}  // namespace melisma
