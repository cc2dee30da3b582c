// A recurrent layer (gated recurrent unit) that runs over one sequence in both directions, as torch.nn.GRU.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/pitch/named_weights.h"

namespace melisma {

// One direction: gates in the order reset, update, new.
class GruDirection {
 public:
  // Takes prefix + weight_ih_l<suffix> [3 H, in], weight_hh [3 H, H], bias_ih, bias_hh [3 H].
  GruDirection(std::int64_t in, std::int64_t hidden, const std::string& prefix, const std::string& suffix,
               NamedWeights& weights);
  // x [T, in] -> hidden states [T, H], from a state of zeros; backwards in time if asked.
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, bool backwards) const;

 private:
  void run_block(const at::Tensor& x, bool backwards, std::vector<float>& state, float* states) const;

  at::Tensor input_weight_, input_bias_;           // of x: [3 H, in], [3 H]
  at::Tensor recurrent_columns_, recurrent_bias_;  // of the state: [H, 3 H] (a row a state), [3 H]
};

// Both directions of one layer: x [T, in] -> [T, 2 H].
class BidirectionalGruLayer {
 public:
  // Takes the tensors of layer `index` of `prefix` ("fc.0.gru.").
  BidirectionalGruLayer(std::int64_t in, std::int64_t hidden, std::int64_t index, const std::string& prefix,
                        NamedWeights& weights);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;

 private:
  GruDirection forwards_, backwards_;
};

}  // namespace melisma
