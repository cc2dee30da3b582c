#include "train/engine/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "tools/base/error.h"

namespace melisma {

AdamW::AdamW(const Module& module, const OptimizerConfig& config) : config_(config) {
  c10::NoGradGuard no_grad;
  for (const auto& [name, parameter] : module.trainable_parameters()) {
    slots_.push_back({.name = name,
                      .parameter = parameter,
                      .exp_avg = at::zeros_like(parameter),
                      .exp_avg_sq = at::zeros_like(parameter),
                      .step = at::zeros({}, parameter.options().dtype(at::kFloat).requires_grad(false))});
  }
}

void AdamW::zero_grad() {
  for (auto& slot : slots_) slot.parameter.mutable_grad() = at::Tensor();
}

std::vector<at::Tensor> AdamW::gradients() const {
  std::vector<at::Tensor> found;
  for (const auto& slot : slots_) {
    if (slot.parameter.grad().defined()) found.push_back(slot.parameter.grad());
  }
  return found;
}

at::Tensor AdamW::gradient_norm() const {
  c10::NoGradGuard no_grad;
  const auto grads = gradients();
  if (grads.empty()) return at::zeros({});
  return at::linalg_vector_norm(at::stack(at::_foreach_norm(grads)));
}

void AdamW::clip(const at::Tensor& norm) {
  if (config_.clip_norm <= 0) return;
  c10::NoGradGuard no_grad;
  const auto coefficient = (config_.clip_norm / (norm + 1e-6)).clamp_max(1.0);
  at::_foreach_mul_(gradients(), coefficient);
}

void AdamW::step(double lr, const at::Tensor& bad) {
  c10::NoGradGuard no_grad;
  std::vector<at::Tensor> parameters, grads, averages, squares, steps;
  for (const auto& slot : slots_) {
    if (!slot.parameter.grad().defined()) continue;
    parameters.push_back(slot.parameter);
    grads.push_back(slot.parameter.grad());
    averages.push_back(slot.exp_avg);
    squares.push_back(slot.exp_avg_sq);
    steps.push_back(slot.step);
  }
  if (parameters.empty()) return;
  const auto found_inf = bad.to(at::kFloat);
  at::_foreach_add_(steps, at::rsub(found_inf, 1.0));  // the kernel reads the count of this step
  at::_fused_adamw_(parameters, grads, averages, squares, {}, steps, lr, config_.beta1, config_.beta2,
                    config_.weight_decay, config_.eps, /*amsgrad=*/false, /*maximize=*/false,
                    /*grad_scale=*/std::nullopt, found_inf);
}

StateDict AdamW::state() const {
  StateDict state;
  for (const auto& slot : slots_) {
    state.add(slot.name + "/exp_avg", slot.exp_avg);
    state.add(slot.name + "/exp_avg_sq", slot.exp_avg_sq);
    state.add(slot.name + "/step", slot.step);
  }
  return state;
}

void AdamW::load(const StateDict& saved) {
  c10::NoGradGuard no_grad;
  const auto own = state();
  if (const auto difference = own.difference_to(saved); !difference.empty()) {
    fail(ErrorKind::checkpoint, "the optimizer's state does not fit the network: {}", difference.summary());
  }
  for (const auto& [name, tensor] : own) tensor.copy_(saved.at(name));
}

}  // namespace melisma
