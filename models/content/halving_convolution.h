// A convolution of kernel 3 and stride 2 in 7 matrix products where the plain sum needs 9.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

#include "models/layers/packed_matrix.h"

namespace melisma {

// The first `rows` rows of `kept` [at least rows, width], which is made anew where it is too small: memory for one tile
// after the other.
[[nodiscard]] at::Tensor room_for(at::Tensor& kept, std::int64_t rows, std::int64_t width);

// y[t] = W0 x[2t] + W1 x[2t+1] + W2 x[2t+2], rows in memory order. W0 and W2 are a convolution of two taps over the
// even rows, of which three outputs are made in four products instead of six (Toom and Cook's points 0, 1, -1 and
// infinity; Winograd, Arithmetic Complexity of Computations, 1980). Rounding stays that of the plain sum within a
// factor of about 2. Inference only. Calls from several threads are safe, each with its own scratch.
class HalvingConvolution {
 public:
  static constexpr std::int64_t kGroup = 3;  // rows made together

  // weight [out, in, 3], bias [out] or undefined.
  HalvingConvolution(const at::Tensor& weight, const at::Tensor& bias);

  struct Scratch {
    at::Tensor transformed, products, rows;
  };
  // x [6 groups + 1, in], contiguous -> [3 groups, out] in scratch.rows, valid until the next call with it.
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, Scratch& scratch) const;

 private:
  PackedMatrix odd_, first_, sum_, difference_, last_;
  at::Tensor bias_;
};

}  // namespace melisma
