// Weights asked for by name and shape: what a network that is only ever run builds itself from.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "models/weights/state_dict.h"

namespace melisma {

// A network takes every tensor it has; what it took, in order, is then the list of its weights. check() says at once
// everything that does not fit:
//   NamedWeights weights(file.weights);
//   Rmvpe network(shape, weights);
//   weights.check();
class NamedWeights {
 public:
  // The dict must outlive this.
  explicit NamedWeights(const StateDict& weights) : weights_(weights) {}

  // The tensor in float; zeros of that shape where the file lacks it or has another shape.
  [[nodiscard]] at::Tensor take(const std::string& name, at::IntArrayRef shape);
  // A tensor that is no part of the result and may be there or not: a counter of training steps.
  void pass_over(const std::string& name);

  struct Taken {
    std::string name;
    std::vector<std::int64_t> shape;
  };
  [[nodiscard]] const std::vector<Taken>& taken() const { return taken_; }

  // Throws Error(checkpoint) naming what was missing, of another shape, or never taken.
  void check() const;

 private:
  const StateDict& weights_;
  std::vector<Taken> taken_;
  std::unordered_set<std::string> known_;
  StateDictDifference difference_;
};

// Numbers of consecutive layers: how many of `prefix`0`suffix`, `prefix`1`suffix`, ... there are.
[[nodiscard]] std::int64_t count_layers(const StateDict& weights, const std::string& prefix, const std::string& suffix);

}  // namespace melisma
