// What this process computes with: library versions, threads, fast paths. For run headers, manifests and `melisma
// engine`.
#pragma once
#include <cstdint>
#include <string>

namespace melisma {

struct ComputeFacts {
  std::string libtorch;        // "2.11.0"
  std::string cpu_capability;  // LibTorch's kernel level: "DEFAULT", "AVX2", "AVX512"
  std::string cpu_model;       // as the system names it
  int threads = 0;
  bool mkl_fast_path = false;  // MKL takes its fast path whatever the processor's maker
  std::string omp_wait_policy;
  bool bf16_arithmetic = false;  // AVX-512 BF16 or AMX is there
  // "LibTorch 2.11.0, AVX2, 2 threads, MKL fast path on, OpenMP waits passively"
  [[nodiscard]] std::string line() const;
};

[[nodiscard]] ComputeFacts compute_facts();

// GFLOP/s of a 512 x 768 x 3072 fp32 matrix product with the current threads: median of `repeats` runs, in 1e9
// operations/s.
[[nodiscard]] double measured_gemm_gflops(int repeats = 7);

}  // namespace melisma
