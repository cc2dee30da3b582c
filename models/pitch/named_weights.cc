#include "models/pitch/named_weights.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "tools/base/error.h"

namespace melisma {

at::Tensor NamedWeights::take(const std::string& name, at::IntArrayRef shape) {
  taken_.push_back({name, shape.vec()});
  known_.insert(name);
  if (!weights_.contains(name)) {
    difference_.missing.push_back(name);
    return at::zeros(shape);
  }
  const auto& found = weights_.at(name);
  if (found.sizes() != shape) {
    difference_.mismatched.push_back(fmt::format("'{}' is [{}] in the file but [{}] in the model", name,
                                                 fmt::join(found.sizes(), ","), fmt::join(shape, ",")));
    return at::zeros(shape);
  }
  auto values = found.to(at::kFloat);
  const auto [least, most] = at::aminmax(values);  // NaN if any value is
  if (!std::isfinite(least.item<float>()) || !std::isfinite(most.item<float>())) {
    difference_.mismatched.push_back(fmt::format("'{}' holds values that are no numbers", name));
  }
  return values;
}

void NamedWeights::pass_over(const std::string& name) {
  taken_.push_back({name, {}});
  known_.insert(name);
}

void NamedWeights::check() const {
  auto difference = difference_;
  for (const auto& [name, tensor] : weights_) {
    if (!known_.contains(name)) difference.unexpected.push_back(name);
  }
  if (!difference.empty()) throw Error(ErrorKind::checkpoint, difference.summary());
}

std::int64_t count_layers(const StateDict& weights, const std::string& prefix, const std::string& suffix) {
  std::int64_t count = 0;
  while (weights.contains(prefix + std::to_string(count) + suffix)) ++count;
  return count;
}

}  // namespace melisma
