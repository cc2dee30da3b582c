// Counts the floating-point operations of convolutions and matrix products as LibTorch executes them.
#pragma once
#include <cstdint>

namespace melisma {

// Counts from construction to destruction, in every thread. One at a time.
class FlopCount {
 public:
  FlopCount();
  ~FlopCount();
  FlopCount(const FlopCount&) = delete;
  FlopCount& operator=(const FlopCount&) = delete;
  // Multiplications and additions so far: 2 per multiply-add.
  [[nodiscard]] double operations() const;

 private:
  std::uint64_t handle_;
};

}  // namespace melisma
