// `melisma engine`: which numeric libraries and fast paths are in force on this machine, and what they are worth.
#pragma once

namespace melisma {

struct EngineInfoOptions {
  bool json = false;
  bool compare_mkl = false;  // measure a matrix product with and without MKL's fast path, each in a process of its own
  bool only_gemm = false;    // print one number: GFLOP/s
};

// Exit code 0; 5 if compare_mkl finds the fast path slower than 0.9 of MKL's own choice.
int engine_info(const EngineInfoOptions& options);

}  // namespace melisma
