// An exponential moving average of a network's parameters: what is evaluated and exported when averaging is on.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "models/layers/module.h"

namespace melisma {

class WeightAverage {
 public:
  // Starts at the module's present weights. `decay` in (0, 1): average = decay * average + (1 - decay) * weights.
  WeightAverage(const Module& module, double decay);
  // Called once after each step.
  void update();
  // Exchanges weights and averages in place; calling it twice changes nothing.
  void swap();
  // Copies averages in from the weights the module holds now (a resume loads them there for a moment).
  void take_weights();

 private:
  double decay_;
  std::vector<at::Tensor> weights_, averages_;
};

// Evaluates with the averages in place; without an average it does nothing.
class AveragedWeights {
 public:
  explicit AveragedWeights(WeightAverage* average) : average_(average) {
    if (average_ != nullptr) average_->swap();
  }
  ~AveragedWeights() {
    if (average_ != nullptr) average_->swap();
  }
  AveragedWeights(const AveragedWeights&) = delete;
  AveragedWeights& operator=(const AveragedWeights&) = delete;

 private:
  WeightAverage* average_;
};

}  // namespace melisma
