// How this process's tensors get their memory on the CPU: large blocks are kept when freed and given out again. A step
// of training asks for the same gigabytes over and over, and what the kernel hands out it must zero first.
#pragma once
#include <cstddef>

namespace c10 {
struct Allocator;
}

namespace melisma {

struct TensorMemory {
  std::size_t used = 0;       // bytes in large blocks that tensors hold
  std::size_t kept = 0;       // bytes in large blocks that wait for the next tensor
  std::size_t most_used = 0;  // the highest `used` so far
};

// Blocks of this size and more are kept, others are the C library's.
inline constexpr std::size_t kLargeTensorBlock = std::size_t{2} << 20;

// Makes LibTorch allocate this way from now on, in every thread. What is used and what is kept together never exceed
// `headroom` times the most that was used at once; beyond that, the blocks freed longest ago go back to the system.
// 0 keeps nothing: a freed block is gone. Tensors made before stay valid. May be called again, to change the headroom.
void reuse_tensor_memory(double headroom);

// All that is kept goes back to the system: after a stage whose sizes the next one does not share.
void release_kept_tensor_memory();

// While it lives, tensors are allocated as LibTorch does it by itself. For comparisons; one at a time.
class OrdinaryTensorMemory {
 public:
  OrdinaryTensorMemory();
  ~OrdinaryTensorMemory();
  OrdinaryTensorMemory(const OrdinaryTensorMemory&) = delete;
  OrdinaryTensorMemory& operator=(const OrdinaryTensorMemory&) = delete;

 private:
  c10::Allocator* before_;
};

[[nodiscard]] TensorMemory tensor_memory();

}  // namespace melisma
