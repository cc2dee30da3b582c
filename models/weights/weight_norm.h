// Weight norm in files: the two spellings of its names, folding it into plain weights, and taking it apart again.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "models/weights/state_dict.h"

namespace melisma {

// X.parametrizations.weight.original0 / .original1 (newer PyTorch) become X.weight_g / X.weight_v; order is kept.
[[nodiscard]] StateDict with_plain_weight_norm_names(StateDict weights);

// g * v / |v| in float32, the norm taken over every dimension that g does not have: g [C,1,1] and v [C,I,K] give
// [C,I,K]. The arithmetic is that of a running model.
[[nodiscard]] at::Tensor fold_weight_norm(const at::Tensor& g, const at::Tensor& v);

// Names as they are once folded: each pair X.weight_g, X.weight_v is X.weight, at the place of the first of the two.
[[nodiscard]] std::vector<std::string> folded_names(const StateDict& weights);
// The tensor under such a name: as stored, or its pair folded.
[[nodiscard]] at::Tensor folded_weight(const StateDict& weights, const std::string& name);
// All of them.
[[nodiscard]] StateDict fold_weight_norm(const StateDict& weights);

// The weights under the names of `expected`: where it has X.weight_g and X.weight_v but `weights` only X.weight, v is
// the weight and g its norm, so that a model built for training loads a folded file.
[[nodiscard]] StateDict unfold_weight_norm(const StateDict& weights, const StateDict& expected);

}  // namespace melisma
