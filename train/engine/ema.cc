#include "train/engine/ema.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace melisma {

WeightAverage::WeightAverage(const Module& module, double decay) : decay_(decay) {
  for (const auto& [name, parameter] : module.parameters()) {
    weights_.push_back(parameter.detach());
    averages_.push_back(parameter.detach().clone());
  }
}

void WeightAverage::update() {
  c10::NoGradGuard no_grad;
  at::_foreach_lerp_(averages_, weights_, at::Scalar(1.0 - decay_));
}

void WeightAverage::swap() {
  c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const auto kept = weights_[i].clone();
    weights_[i].copy_(averages_[i]);
    averages_[i].copy_(kept);
  }
}

void WeightAverage::take_weights() {
  c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < weights_.size(); ++i) averages_[i].copy_(weights_[i]);
}

}  // namespace melisma
