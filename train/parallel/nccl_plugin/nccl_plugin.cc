// libmelisma_nccl.so: ProcessGroupNCCL behind one function (train/parallel/nccl.h). It links no CUDA library: whoever
// opens it has opened LibTorch's.
#include <cstdlib>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "train/parallel/nccl.h"

extern "C" __attribute__((visibility("default"))) c10d::Backend* melisma_make_nccl_backend(
    c10d::Store* store, int rank, int size, std::chrono::milliseconds timeout) {
  // A lost rank is noticed by the ranks' other calls, which say who it is and save what there is: NCCL's own watchers
  // would end the process before that.
  setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", 0);
  setenv("TORCH_NCCL_ENABLE_MONITORING", "0", 0);
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  auto shared = c10::intrusive_ptr<c10d::Store>::reclaim_copy(store);
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(std::move(shared), rank, size, std::move(options)).release();
}

static_assert(std::is_same_v<decltype(&melisma_make_nccl_backend), melisma::MakeNcclBackend>);
