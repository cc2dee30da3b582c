// In which arithmetic a task's networks compute their losses.
#pragma once
#include <c10/core/Device.h>

#include <string>

namespace melisma {

// fp32: as the tensors are. tf32: products on a GPU read their factors to ten bits behind the point and sum in fp32.
// bf16, fp16: products and convolutions round their factors to that type and sum in fp32 (LibTorch's autocast);
// parameters, gradients, optimizer state and whatever a loss casts itself stay fp32; fp16 needs a LossScaler.
// Throws Error(device) where that would be slower than fp32 or is not there: bf16 on a CPU that does not multiply it,
// fp16 and tf32 on any CPU, bf16 and tf32 on GPUs before compute capability 8.0.
void require_precision(const std::string& precision, at::Device device = at::kCPU);

// Makes products on GPUs as precise as `precision` says, for the whole process: in fp32 LibTorch would take TF32 for
// convolutions.
void set_gpu_products(const std::string& precision);

// On this thread while it lives; for forward passes only, backward passes follow them by themselves.
class PrecisionScope {
 public:
  explicit PrecisionScope(const std::string& precision, at::Device device = at::kCPU);
  ~PrecisionScope();
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  at::DeviceType device_;
  bool is_cast_, was_cast_;
};

}  // namespace melisma
