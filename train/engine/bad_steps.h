// Steps whose numbers were not finite, counted on the device and read when somebody asks.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace melisma {

class BadSteps {
 public:
  // `bad` [] bool: the step was skipped; `overflowed` [] bool: because its loss scale was too large.
  void add(const at::Tensor& bad, const at::Tensor& overflowed);

  struct Counts {
    std::int64_t diverged = 0, overflowed = 0;  // a step is one of the two
  };
  // Since the last call; waits for the device.
  [[nodiscard]] Counts take();

 private:
  at::Tensor counts_;  // [2] int64: all of them, and those that overflowed
};

}  // namespace melisma
