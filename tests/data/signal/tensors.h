// Fixtures and recipes as tensors, for the tests of this folder.
#pragma once
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "tests/support/golden.h"

namespace melisma::testing {

inline at::Tensor tensor_of(const GoldenTensor& golden, at::ScalarType dtype = at::kDouble) {
  auto values = golden.values;
  return at::from_blob(values.data(), golden.shape, at::kDouble).clone().to(dtype);
}

inline at::Tensor tensor_of(const std::vector<double>& values, at::ScalarType dtype = at::kDouble) {
  auto copy = values;
  return at::from_blob(copy.data(), {static_cast<std::int64_t>(copy.size())}, at::kDouble).clone().to(dtype);
}

inline std::vector<double> doubles_of(const at::Tensor& tensor) {
  const auto flat = tensor.detach().to(at::kDouble).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

}  // namespace melisma::testing
