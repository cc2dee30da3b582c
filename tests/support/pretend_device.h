// GPUs that are none: tensors say they lie on one, and the CPU computes with them. They refuse what a GPU refuses,
// operations on tensors of two places, and count what makes the CPU wait for a GPU, so that code for GPUs is tested
// where there is none.
#pragma once
#include <c10/core/Device.h>

#include <cstdint>

namespace melisma::testing {

inline constexpr int kPretendDevices = 2;

// Not where a real GPU is in sight (CUDA_VISIBLE_DEVICES= hides it, as ctest does for all tests but Gpu*).
[[nodiscard]] bool has_pretend_devices();

// One of kPretendDevices.
[[nodiscard]] at::Device pretend_device(int index = 0);

// How often so far, by all threads, numbers were read back from them.
[[nodiscard]] std::int64_t n_reads_of_pretend_devices();

}  // namespace melisma::testing
