#include "train/parallel/nccl.h"

#include <dlfcn.h>

#include <filesystem>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "tools/base/error.h"

namespace melisma {
namespace nccl_detail {
namespace {
namespace fs = std::filesystem;

// Where this code lies: the engine library, or a test.
fs::path own_folder() {
  Dl_info own{};
  const bool is_known = dladdr(reinterpret_cast<void*>(&open_nccl), &own) != 0 && own.dli_fname != nullptr;
  return is_known ? fs::absolute(own.dli_fname).parent_path() : fs::path();
}

}  // namespace
}  // namespace nccl_detail

c10::intrusive_ptr<c10d::Backend> open_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                            std::chrono::milliseconds timeout, const std::string& library) {
  const auto path = nccl_detail::own_folder() / library;
  if (!nccl_detail::fs::exists(path)) {
    fail(ErrorKind::device,
         "this program was built without NCCL, with which GPUs sum their gradients: there is no '{}'; build it where "
         "the "
         "headers of CUDA and NCCL are (tools/setup --gpu fetches them), or set distributed.backend = \"gloo\"",
         path.string());
  }
  void* handle = dlopen(path.c_str(), RTLD_NOW);
  if (handle == nullptr) {
    fail(ErrorKind::device,
         "NCCL cannot be opened: {}; it needs the LibTorch for GPUs (tools/setup --gpu), or set distributed.backend = "
         "\"gloo\"",
         dlerror());
  }
  const auto make = reinterpret_cast<MakeNcclBackend>(dlsym(handle, kNcclEntryPoint));
  if (make == nullptr) {
    fail(ErrorKind::internal, "'{}' has no entry point; run tools/setup to build it again", path.string());
  }
  return c10::intrusive_ptr<c10d::Backend>::reclaim(make(store.get(), rank, size, timeout));
}

}  // namespace melisma
