#include "train/engine/training_log.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <sstream>

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

NamedValues ScalarMeans::means(Ranks& ranks) {
  std::string listed;
  std::vector<double> counts;
  for (const auto& sum : sums_) {
    listed += sum.name + '\n';
    counts.push_back(sum.count.item<double>());
  }
  std::istringstream lines(ranks.text_of_first(listed));
  std::vector<std::string> names;
  for (std::string name; std::getline(lines, name);) names.push_back(name);
  std::vector<double> parts;  // this rank's; it may have had no item of any batch
  for (const auto& name : names) {
    const auto own = std::ranges::find(sums_, name, &Sum::name);
    parts.push_back(own == sums_.end() ? 0.0 : own->sum.item<double>());
  }
  counts.resize(names.size());
  counts = ranks.numbers_of_first(std::move(counts));
  const auto sums = ranks.sum(std::move(parts));
  NamedValues values;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (counts[i] > 0) values.emplace_back(names[i], sums[i] / counts[i]);
  }
  sums_.clear();
  return values;
}

}  // namespace melisma
