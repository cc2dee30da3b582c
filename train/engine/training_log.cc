#include "train/engine/training_log.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace melisma {

void ScalarMeans::add(const std::string& name, const at::Tensor& value, double share) {
  c10::NoGradGuard no_grad;
  const auto part = value.detach().to(at::kFloat) * share;
  for (auto& sum : sums_) {
    if (sum.name != name) continue;
    sum.step = sum.step.defined() ? sum.step + part : part;
    return;
  }
  sums_.push_back({.name = name, .step = part, .sum = at::zeros_like(part), .count = at::zeros_like(part)});
}

void ScalarMeans::end_step(const at::Tensor& bad) {
  c10::NoGradGuard no_grad;
  for (auto& sum : sums_) {
    if (!sum.step.defined()) continue;
    const auto skipped = bad.to(sum.step.device());
    sum.sum += sum.step.masked_fill(skipped, 0.0);
    sum.count += skipped.logical_not();
    sum.step = at::Tensor();
  }
}

void ScalarMeans::drop_step() {
  for (auto& sum : sums_) sum.step = at::Tensor();
}

NamedValues ScalarMeans::means() {
  NamedValues values;
  for (const auto& sum : sums_) {
    const double count = sum.count.item<double>();
    if (count > 0) values.emplace_back(sum.name, sum.sum.item<double>() / count);
  }
  sums_.clear();
  return values;
}

}  // namespace melisma
