#include "train/parallel/nccl.h"

#include <ATen/ATen.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/FileStore.hpp>

#include "models/layers/device.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tests/train/engine/tiny_gan.h"
#include "train/parallel/ranks_on_threads.h"

namespace melisma {
namespace {
using testing::TemporaryFolder;

constexpr std::chrono::milliseconds kTimeout{5000};

c10::intrusive_ptr<c10d::Store> store_in(const TemporaryFolder& folder) {
  return c10::make_intrusive<c10d::FileStore>((folder / "store").string(), 1);
}

TEST(Nccl, WhereItWasNotBuiltThatIsSaid) {
  const TemporaryFolder folder;
  const auto said = testing::refusal_of(
      ErrorKind::device, [&] { (void)open_nccl(store_in(folder), 0, 1, kTimeout, "libmelisma_nowhere.so"); });
  EXPECT_NE(said.find("built without NCCL"), std::string::npos) << said;
  EXPECT_NE(said.find("libmelisma_nowhere.so"), std::string::npos) << said;
  EXPECT_NE(said.find("distributed.backend"), std::string::npos) << said;
}

// The library leaves CUDA's symbols open, and this process has none of them.
TEST(Nccl, WithoutLibTorchsCudaLibraryItIsRefusedWithWhereThatComesFrom) {
  const auto library = std::filesystem::read_symlink("/proc/self/exe").parent_path() / kNcclLibrary;
  if (!std::filesystem::exists(library)) GTEST_SKIP() << "built without NCCL: its headers are not here";
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_NOLOAD) != nullptr) GTEST_SKIP() << "CUDA is open in this process";
  const TemporaryFolder folder;
  const auto said = testing::refusal_of(ErrorKind::device, [&] { (void)open_nccl(store_in(folder), 0, 1, kTimeout); });
  EXPECT_NE(said.find("undefined symbol"), std::string::npos) << said;
  EXPECT_NE(said.find("tools/setup --gpu"), std::string::npos) << said;
}

TEST(Nccl, ALibraryWithoutTheEntryPointIsRefused) {
  const TemporaryFolder folder;
  Dl_info libm{};
  ASSERT_NE(dladdr(reinterpret_cast<void*>(static_cast<double (*)(double)>(&std::sin)), &libm), 0);
  const auto said = testing::refusal_of(ErrorKind::internal,
                                        [&] { (void)open_nccl(store_in(folder), 0, 1, kTimeout, libm.dli_fname); });
  EXPECT_NE(said.find("no entry point"), std::string::npos) << said;
}

TEST(GpuNccl, SumsOnTheGpu) {
  if (cuda_state().n_devices == 0) GTEST_SKIP() << cuda_state().problem;
  const TemporaryFolder folder;
  const auto nccl = open_nccl(store_in(folder), 0, 1, kTimeout);
  std::vector<at::Tensor> tensors{on_device(at::arange(4, at::kFloat), open_device("cuda"))};
  nccl->allreduce(tensors)->wait();
  nccl->broadcast(tensors)->wait();
  EXPECT_TRUE(at::equal(tensors.front().cpu(), at::arange(4, at::kFloat)));
}

}  // namespace
}  // namespace melisma
