#include "models/layers/device.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

#include "tests/support/refusal.h"

namespace melisma {
namespace {

// Sets or, with null, unsets a variable for a while.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~Variable() { set(before_ ? before_->c_str() : nullptr); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  void set(const char* value) const { value != nullptr ? setenv(name_, value, 1) : unsetenv(name_); }
  const char* name_;
  std::optional<std::string> before_;
};

// Libraries that every Linux has stand for the parts that are there.
constexpr const char* kThere = "libm.so.6";

std::string problem_of(const CudaLibraries& libraries) {
  const Variable visible("CUDA_VISIBLE_DEVICES", nullptr);
  const auto state = look_for_cuda(libraries);
  EXPECT_EQ(state.n_devices, 0);
  return state.problem;
}

TEST(Cuda, WithoutADriverThatIsSaid) {
  const auto problem = problem_of({.driver = "libno_driver.so.1"});
  EXPECT_NE(problem.find("no NVIDIA driver"), std::string::npos) << problem;
  EXPECT_NE(problem.find("libno_driver.so.1"), std::string::npos) << problem;
}

TEST(Cuda, ADriverWithLibTorchForCpusSaysWhereTheOtherComesFrom) {
  const auto problem = problem_of({.driver = kThere, .torch = "libtorch_nowhere.so"});
  EXPECT_NE(problem.find("one for CPUs"), std::string::npos) << problem;
  EXPECT_NE(problem.find("libtorch_nowhere.so"), std::string::npos) << problem;
  EXPECT_NE(problem.find("tools/setup --gpu"), std::string::npos) << problem;
}

TEST(Cuda, AnotherLibraryIsNotTakenForLibTorch) {
  const auto problem = problem_of({.driver = kThere, .torch = kThere});
  EXPECT_NE(problem.find("not LibTorch's CUDA library"), std::string::npos) << problem;
}

TEST(Cuda, NothingIsOpenedWhereEveryGpuIsHidden) {
  const Variable hidden("CUDA_VISIBLE_DEVICES", "");
  const auto state = look_for_cuda({.driver = kThere, .torch = kThere});
  EXPECT_EQ(state.n_devices, 0);
  EXPECT_NE(state.problem.find("CUDA_VISIBLE_DEVICES"), std::string::npos) << state.problem;
}

TEST(Device, TheCpuIsAlwaysThere) {
  EXPECT_TRUE(open_device("cpu").is_cpu());
  EXPECT_EQ(open_devices("cpu"), std::vector<at::Device>{at::kCPU});
  EXPECT_EQ(device_text(at::kCPU), "CPU");
  EXPECT_FALSE(gpu_has_narrow_products(at::kCPU));
  const auto x = at::ones({2});
  EXPECT_TRUE(on_device(x, at::kCPU).is_same(x));
  EXPECT_FALSE(on_device(at::Tensor(), at::kCPU).defined());
}

TEST(Device, WithoutAGpuAutoIsTheCpuAndCudaIsRefused) {
  if (cuda_state().n_devices > 0) GTEST_SKIP() << "there is a GPU here";
  EXPECT_TRUE(open_device("auto").is_cpu());
  EXPECT_EQ(open_devices("auto"), std::vector<at::Device>{at::kCPU});
  for (const auto* name : {"cuda", "cuda:1"}) {
    const auto said = testing::refusal_of(ErrorKind::device, [&] { (void)open_device(name); });
    EXPECT_NE(said.find(cuda_state().problem), std::string::npos) << said;
    EXPECT_NE(said.find("choose cpu"), std::string::npos) << said;
  }
}

TEST(GpuDevice, NumbersGoThereAndBack) {
  if (cuda_state().n_devices == 0) GTEST_SKIP() << cuda_state().problem;
  for (const auto device : open_devices("cuda")) {
    const auto x = at::arange(5, at::kFloat);
    const auto there = on_device(x, device);
    EXPECT_EQ(there.device(), device);
    EXPECT_TRUE(at::equal((there * 2).cpu(), x * 2));
    EXPECT_NE(device_text(device).find("GiB"), std::string::npos) << device_text(device);
  }
}

TEST(GpuDevice, OneThatIsNotThereIsRefusedWithTheList) {
  if (cuda_state().n_devices == 0) GTEST_SKIP() << cuda_state().problem;
  const auto name = "cuda:" + std::to_string(cuda_state().n_devices);
  const auto said = testing::refusal_of(ErrorKind::device, [&] { (void)open_device(name); });
  EXPECT_NE(said.find("there is no " + name), std::string::npos) << said;
  EXPECT_TRUE(open_device("auto", 0, cuda_state().n_devices + 1).is_cpu());
}

}  // namespace
}  // namespace melisma
