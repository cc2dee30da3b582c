// What the golden tests of mixing share: tensors of fixtures, weighted sums of outputs, gradients.
#pragma once
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>
#include <vector>

#include "tests/support/golden.h"

namespace melisma::testing {

inline at::Tensor doubles(std::span<const double> values, at::IntArrayRef shape) {
  return at::tensor(std::vector<double>(values.begin(), values.end()), at::kDouble).view(shape);
}

inline at::Tensor tensor_of(const GoldenTensor& golden) { return doubles(golden.values, golden.shape); }

// Channels of a recipe, [C, N] double.
inline at::Tensor rendered(const nlohmann::json& recipe) {
  const auto channels = render_recipe(recipe);
  std::vector<at::Tensor> rows;
  for (const auto& channel : channels) rows.push_back(at::tensor(channel, at::kDouble));
  return at::stack(rows);
}

inline at::Tensor lcg_values(std::uint32_t seed, at::IntArrayRef shape) {
  auto made = at::empty(shape, at::kDouble);
  Lcg random(seed);
  auto* out = made.data_ptr<double>();
  for (std::int64_t i = 0; i < made.numel(); ++i) out[i] = random.next();
  return made;
}

inline std::vector<double> values_of(const at::Tensor& tensor) {
  const auto flat = tensor.detach().to(at::kDouble).contiguous().view(-1);
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

inline at::Tensor leaf(const at::Tensor& tensor) { return tensor.detach().clone().set_requires_grad(true); }

// d sum(weights * made) / d input, [numel of input].
inline std::vector<double> gradient_of(const at::Tensor& made, const at::Tensor& weights, const at::Tensor& input) {
  return values_of(torch::autograd::grad({(made * weights).sum()}, {input}, {}, true)[0]);
}

}  // namespace melisma::testing
