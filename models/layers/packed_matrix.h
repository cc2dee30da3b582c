// A weight matrix laid out once for many products: what inference multiplies activations with.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace melisma {

// True where the CPU multiplies bfloat16 itself (AVX-512 BF16 or AMX); elsewhere it is far slower than float32.
[[nodiscard]] bool cpu_multiplies_bf16();

// x W^T for one W and many x. LibTorch's MKL can keep W in the order its kernels read it in, which saves them a copy of
// W a product: 20 to 60 % for x of 25 to 150 rows. Where another BLAS is underneath, plain products. A row of the
// result does not depend on the other rows of x beyond rounding (not at all with MKL). Inference only: no gradients.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  // weight [out, in], fp32. type kBFloat16: both factors are rounded to it, sums are not; Error(device) where the CPU
  // does not multiply it.
  explicit PackedMatrix(const at::Tensor& weight, at::ScalarType type = at::kFloat);

  // y = x W^T, or y += x W^T. x [rows, in] and y [rows, out] are fp32 with unit stride along a row.
  void multiply(const at::Tensor& x, const at::Tensor& y, bool accumulate) const;

  [[nodiscard]] std::int64_t in() const { return in_; }
  [[nodiscard]] std::int64_t out() const { return out_; }

 private:
  std::int64_t in_ = 0, out_ = 0;
  at::Tensor plain_;   // [out, in] of the type of the product; not kept beside a packed one
  at::Tensor packed_;  // MKL's own layout
};

}  // namespace melisma
