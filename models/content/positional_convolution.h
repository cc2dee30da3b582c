// HuBERT's convolutional position embedding: a grouped convolution over 128 frames, computed by FFT.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "models/content/hubert_config.h"
#include "models/layers/module.h"

namespace melisma {

// Parameters conv.bias [hidden], conv.weight_g [1, 1, kernel], conv.weight_v [hidden, hidden / groups, kernel]: weight
// norm over everything but the tap. Inference only, after fold(true).
class PositionalConvolution final : public Module {
 public:
  explicit PositionalConvolution(const HubertConfig& config);
  void fold(bool on) override;
  // x [rows, hidden], the clips of `lengths` rows one after the other -> the same shape. Each clip is padded with
  // zeros, kernel / 2 before it; no clip sees another. GELU is not applied.
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, std::span<const std::int64_t> lengths) const;
  // The same as the direct sum, in LibTorch's own operations and without fold(): what other devices than the CPU do.
  [[nodiscard]] at::Tensor plain(const at::Tensor& x, std::span<const std::int64_t> lengths) const;

 private:
  [[nodiscard]] at::Tensor blocks_of(const at::Tensor& x, std::span<const std::int64_t> lengths) const;
  std::int64_t hidden_, groups_, kernel_;
  std::int64_t transform_, step_;  // samples of a block's transform, and new frames a block gives
  at::Tensor bias_, g_, v_;
  at::Tensor response_;  // complex [frequencies * groups, in, out]; undefined until folded
};

}  // namespace melisma
