// NCCL: sums between GPUs that do not pass the CPU's memory. In a library of its own beside the program, which only
// ranks on GPUs open: it needs LibTorch's CUDA library, and to be built the headers of CUDA and NCCL.
#pragma once
#include <c10/util/intrusive_ptr.h>

#include <chrono>
#include <string>

namespace c10d {
class Backend;
class Store;
}  // namespace c10d

namespace melisma {

inline constexpr const char* kNcclLibrary = "libmelisma_nccl.so";

// The library's one function: a backend that the caller owns.
inline constexpr const char* kNcclEntryPoint = "melisma_make_nccl_backend";
using MakeNcclBackend = c10d::Backend* (*)(c10d::Store* store, int rank, int size, std::chrono::milliseconds timeout);

// The ranks' backend on this process's current GPUs, one each. Throws Error(device) where this program was built
// without it, or where it cannot be opened, with what to do. `library`: a file, or a name beside the program.
[[nodiscard]] c10::intrusive_ptr<c10d::Backend> open_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                                          int size, std::chrono::milliseconds timeout,
                                                          const std::string& library = kNcclLibrary);

}  // namespace melisma
