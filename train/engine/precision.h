// In which arithmetic a task's networks compute their losses.
#pragma once
#include <string>

namespace melisma {

// fp32: as the tensors are. bf16: matrix products and convolutions round their factors to bfloat16 and sum in fp32
// (LibTorch's autocast); parameters, gradients, optimizer state and whatever a loss casts itself stay fp32.
// Throws Error(device) for bf16 on a CPU that does not multiply it: there it would be slower, not faster.
void require_precision(const std::string& precision);

// On this thread while it lives; for forward passes only, backward passes follow them by themselves.
class PrecisionScope {
 public:
  explicit PrecisionScope(const std::string& precision);
  ~PrecisionScope();
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  bool is_cast_, was_cast_;
};

}  // namespace melisma
