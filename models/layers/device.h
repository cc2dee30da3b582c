// The devices networks are computed on, and CUDA found at run time: what only uses the CPU pays nothing for it.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

namespace melisma {

// What CUDA consists of at run time, by the names the dynamic linker finds them by.
struct CudaLibraries {
  std::string driver = "libcuda.so.1";     // comes with NVIDIA's kernel driver
  std::string torch = "libtorch_cuda.so";  // LibTorch's own, which only its GPU edition has
};

struct CudaState {
  std::int64_t n_devices = 0;
  std::string problem;  // why there is none, and what to do about it; empty if there are some
};

// Opens the libraries, in this order, and counts the GPUs. No CUDA question may be asked of LibTorch before: it keeps
// its first answer.
[[nodiscard]] CudaState look_for_cuda(const CudaLibraries& libraries);

// This process's, looked for at the first call.
[[nodiscard]] const CudaState& cuda_state();

// The device a name means (tools/base/device_name.h). `place`: which of the processes on this machine asks; "cuda" is
// then the GPU of that number, and "auto" a GPU only if there is one for each of `n_places`. Throws Error(device)
// saying what is missing and what to do; Error(usage) for a name that is none.
[[nodiscard]] at::Device open_device(const std::string& name, std::int64_t place = 0, std::int64_t n_places = 1);

// All devices a name means, for work that one process shares out among them: every GPU for "cuda", and for "auto" where
// there are some; several names with commas between ("cuda:0,cuda:2", "cpu,cpu") are one each.
[[nodiscard]] std::vector<at::Device> open_devices(const std::string& name);

// Where this thread computes features, which take no device of their own: on the CPU unless a DeviceScope lives.
[[nodiscard]] at::Device scoped_device();

class DeviceScope {
 public:
  explicit DeviceScope(at::Device device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  at::Device before_;
};

// "CPU", "cuda:0, NVIDIA H200, 139.8 GiB"
[[nodiscard]] std::string device_text(at::Device device);

// Bytes that are free there: the CPU's as available_memory() tells them. 0 where nobody knows.
[[nodiscard]] std::uint64_t free_memory(at::Device device);

// Whether the GPU multiplies bfloat16 and TF32 itself (compute capability 8.0 and later). False for the CPU.
[[nodiscard]] bool gpu_has_narrow_products(at::Device device);

// The tensor there. To a GPU through page-locked memory, without waiting for the copy; undefined stays undefined.
[[nodiscard]] at::Tensor on_device(const at::Tensor& tensor, at::Device device);

}  // namespace melisma
