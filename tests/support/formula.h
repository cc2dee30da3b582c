// Fixtures as tensors, and the formula weights of large networks (golden/rvc/README.md).
#pragma once
#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "models/weights/state_dict.h"
#include "tests/support/golden.h"

namespace melisma::testing {

// Floating fixtures become float, integer ones int64.
inline at::Tensor tensor_of(const GoldenTensor& golden) {
  const bool is_float = golden.dtype[0] == 'F';
  auto values = golden.values;
  return at::from_blob(values.data(), golden.shape, at::kDouble).to(is_float ? at::kFloat : at::kLong);
}

inline std::vector<double> values_of(const at::Tensor& tensor) {
  const auto flat = tensor.detach().to(at::kDouble).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

inline ::testing::AssertionResult near_tensor(const GoldenTensor& expected, const at::Tensor& got, double absolute,
                                              double relative = 0) {
  if (!(got.sizes() == at::IntArrayRef(expected.shape))) {
    return ::testing::AssertionFailure() << "shape is " << got.sizes() << ", expected "
                                         << at::IntArrayRef(expected.shape);
  }
  return near_all(expected.values, values_of(got), absolute, relative);
}

// The weights a fixture holds, names without `prefix`.
inline StateDict weights_of(const GoldenFile& file, const std::string& prefix = "") {
  StateDict weights;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(prefix)) weights.add(name.substr(prefix.size()), tensor_of(tensor));
  }
  return weights;
}

// `factor` times the formula numbers of `name`.
inline at::Tensor formula_tensor(const std::string& name, at::IntArrayRef shape, double factor = 1) {
  auto numbers = formula_numbers(name, c10::multiply_integers(shape));
  return at::from_blob(numbers.data(), shape, at::kDouble).mul(factor).to(at::kFloat);
}

// A weight of the formula networks (golden/rvc/README.md, "Formula weights").
inline at::Tensor formula_weight(const std::string& salt, const std::string& key, at::IntArrayRef shape) {
  const auto u = [&] {
    auto numbers = formula_numbers(salt + key, c10::multiply_integers(shape));
    return at::from_blob(numbers.data(), shape, at::kDouble).clone();
  };
  const auto last = key.substr(key.rfind('.') + 1);
  const auto has = [&](std::string_view part) { return key.find(part) != std::string::npos; };
  at::Tensor value;
  if (last == "num_batches_tracked") return at::zeros(shape, at::kLong);
  if (last == "weight_g") {
    value = 1 + 0.25 * u();
  } else if (last == "running_var") {
    value = 1 + 0.5 * u();
  } else if (last == "running_mean") {
    value = 0.1 * u();
  } else if (last == "gamma" || (last == "weight" && shape.size() == 1)) {
    value = 1 + 0.2 * u();
  } else if (last.find("bias") != std::string::npos || last == "beta") {
    value = 0.1 * u();
  } else if (last == "emb_rel_k" || last == "emb_rel_v") {
    value = u() * std::sqrt(3.0 / static_cast<double>(shape.back()));
  } else if (key == "emb_g.weight" || has(".emb_pitch.")) {
    value = u();
  } else if (shape.size() >= 2) {
    value = u() * std::sqrt(3.0 / (static_cast<double>(c10::multiply_integers(shape)) / static_cast<double>(shape[0])));
    if (has(".post.weight")) value *= 0.5;
    if (key == "enc_p.proj.weight" || key == "enc_q.proj.weight") value *= 0.3;
  } else {
    value = 0.1 * u();
  }
  return value.to(at::kFloat);
}

}  // namespace melisma::testing
