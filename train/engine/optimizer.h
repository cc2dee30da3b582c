// AdamW of one network on LibTorch's fused kernel, its moments kept by parameter name.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <vector>

#include "models/layers/module.h"
#include "models/weights/state_dict.h"
#include "train/engine/trainer_config.h"

namespace melisma {

// One turn of a step:
//
//   optimizer.zero_grad();
//   losses.total.backward();                       // as often as there are micro-batches
//   auto norm = optimizer.gradient_norm();         // [] on the device: nobody waits for it
//   optimizer.clip(norm);
//   optimizer.step(lr, at::isfinite(norm).logical_not());
//
// A parameter without a gradient is left alone, moments included, as torch.optim does; frozen ones are none of this.
// The module must outlive this and stay on its device.
class AdamW {
 public:
  AdamW(const Module& module, const OptimizerConfig& config);

  void zero_grad();
  // Those that are there, in the parameters' order.
  [[nodiscard]] std::vector<at::Tensor> gradients() const;
  // L2 norm of all gradients together; 0 if there are none.
  [[nodiscard]] at::Tensor gradient_norm() const;
  // Scales the gradients down to config.clip_norm where `norm` [] is above it; nothing when clipping is off.
  void clip(const at::Tensor& norm);
  // Decoupled weight decay and bias correction as torch.optim.AdamW. Where `bad` [] is true nothing changes.
  void step(double lr, const at::Tensor& bad);

  // "<parameter>/exp_avg", "<parameter>/exp_avg_sq", "<parameter>/step" for each parameter, views of the live tensors.
  [[nodiscard]] StateDict state() const;
  // Copies a state() in. Strict: throws Error(checkpoint) with the difference.
  void load(const StateDict& state);

 private:
  struct Slot {
    std::string name;
    at::Tensor parameter, exp_avg, exp_avg_sq, step;
  };

  OptimizerConfig config_;
  std::vector<Slot> slots_;
};

}  // namespace melisma
