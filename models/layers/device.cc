#include "models/layers/device.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Logging.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "tools/base/device_name.h"
#include "tools/base/error.h"
#include "tools/base/memory.h"

namespace melisma {
namespace device_detail {
namespace {

thread_local at::Device of_this_thread = at::kCPU;

// c10::cuda::device_count(), which is 0 and no error where the driver finds none.
constexpr const char* kDeviceCount = "_ZN3c104cuda12device_countEv";

// An empty list hides every GPU, and saves the time and memory of opening the libraries.
bool are_all_hidden() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible != nullptr && *visible == '\0';
}

// By its name, or beside LibTorch's CPU library.
void* open_torch(const std::string& name) {
  if (void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL)) return handle;
  const std::string problem = dlerror();
  Dl_info cpu{};
  if (dladdr(reinterpret_cast<void*>(&at::get_num_threads), &cpu) != 0 && cpu.dli_fname != nullptr) {
    const auto beside = std::filesystem::path(cpu.dli_fname).parent_path() / name;
    if (void* handle = dlopen(beside.c_str(), RTLD_NOW | RTLD_GLOBAL)) return handle;
  }
  fail(ErrorKind::device,
       "the LibTorch here is the one for CPUs ({}); fetch and build with the one for GPUs: tools/setup --gpu", problem);
}

std::int64_t count_devices(void* torch, const std::string& name) {
  using Count = signed char (*)() noexcept;
  const auto count = reinterpret_cast<Count>(dlsym(torch, kDeviceCount));
  if (count == nullptr) fail(ErrorKind::device, "'{}' is not LibTorch's CUDA library; run tools/setup --gpu", name);
  return count();
}

// A function of the driver, which is in the process already.
template <class Function>
Function of_driver(const char* name) {
  void* driver = dlopen(CudaLibraries{}.driver.c_str(), RTLD_NOW | RTLD_NOLOAD);
  return driver != nullptr ? reinterpret_cast<Function>(dlsym(driver, name)) : nullptr;
}

// What the driver says of a GPU; empty if it says nothing.
struct Facts {
  std::string name;
  std::size_t bytes = 0;
  int major = 0;  // of the compute capability
};

Facts facts_of(at::Device device) {
  constexpr int kMajor = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
  const auto begin = of_driver<int (*)(unsigned)>("cuInit");
  const auto get = of_driver<int (*)(int*, int)>("cuDeviceGet");
  const auto name = of_driver<int (*)(char*, int, int)>("cuDeviceGetName");
  const auto memory = of_driver<int (*)(std::size_t*, int)>("cuDeviceTotalMem_v2");
  const auto attribute = of_driver<int (*)(int*, int, int)>("cuDeviceGetAttribute");
  Facts facts;
  int handle = 0;
  if (begin == nullptr || get == nullptr || begin(0) != 0 || get(&handle, device.index()) != 0) return facts;
  std::array<char, 128> text{};
  if (name != nullptr && name(text.data(), text.size(), handle) == 0) facts.name = text.data();
  if (memory != nullptr) (void)memory(&facts.bytes, handle);
  if (attribute != nullptr) (void)attribute(&facts.major, kMajor, handle);
  return facts;
}

at::Device gpu(std::int64_t index) { return {at::kCUDA, static_cast<at::DeviceIndex>(index)}; }

std::string list_of(std::int64_t n) { return n == 1 ? "only cuda:0" : fmt::format("cuda:0 to cuda:{}", n - 1); }

}  // namespace
}  // namespace device_detail

CudaState look_for_cuda(const CudaLibraries& libraries) {
  using namespace device_detail;
  try {
    if (are_all_hidden()) fail(ErrorKind::device, "CUDA_VISIBLE_DEVICES is empty, which hides every GPU; unset it");
    if (dlopen(libraries.driver.c_str(), RTLD_NOW) == nullptr) {
      fail(ErrorKind::device, "there is no NVIDIA driver on this machine ({}); install it", dlerror());
    }
    // cuBLAS sums in a fixed order with a workspace of its own; it reads this once, when it is opened.
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
    FLAGS_caffe2_log_level = 3;  // LibTorch's remarks on the driver are told in one sentence here
    const auto n = count_devices(open_torch(libraries.torch), libraries.torch);
    if (n == 0) {
      fail(ErrorKind::device,
           "the NVIDIA driver shows this process no GPU; see what nvidia-smi says, and CUDA_VISIBLE_DEVICES");
    }
    return {.n_devices = n, .problem = {}};
  } catch (const Error& error) {
    return {.n_devices = 0, .problem = error.message()};
  }
}

const CudaState& cuda_state() {
  static const auto state = look_for_cuda({});
  return state;
}

at::Device open_device(const std::string& name, std::int64_t place, std::int64_t n_places) {
  using namespace device_detail;
  const auto wanted = parse_device(name);
  if (wanted.kind == DeviceName::Kind::cpu) return at::kCPU;
  const auto& state = cuda_state();
  if (wanted.kind == DeviceName::Kind::automatic)
    return state.n_devices >= n_places ? gpu(place) : at::Device(at::kCPU);
  if (!state.problem.empty())
    fail(ErrorKind::device, "the device '{}' cannot be used: {}, or choose cpu", name, state.problem);
  if (wanted.index >= 0 && n_places > 1) {
    fail(ErrorKind::device, "{} processes on this machine cannot share {}; choose cuda, which is a GPU each", n_places,
         name);
  }
  const auto index = wanted.index >= 0 ? wanted.index : place;
  if (index < state.n_devices) return gpu(index);
  if (wanted.index >= 0) {
    fail(ErrorKind::device, "there is no {} on this machine, {}; choose one of these, or cpu", name,
         list_of(state.n_devices));
  }
  fail(ErrorKind::device, "{} processes on this machine need a GPU each, but there is {}; start {}, or choose cpu",
       n_places, list_of(state.n_devices), state.n_devices);
}

std::vector<at::Device> open_devices(const std::string& name) {
  if (name.find(',') != std::string::npos) {
    std::vector<at::Device> each;
    std::istringstream names(name);
    for (std::string one; std::getline(names, one, ',');) each.push_back(open_device(one));
    return each;
  }
  const auto first = open_device(name);
  if (first.is_cpu() || parse_device(name).index >= 0) return {first};
  std::vector<at::Device> all;
  for (std::int64_t i = 0; i < cuda_state().n_devices; ++i) all.push_back(device_detail::gpu(i));
  return all;
}

at::Device scoped_device() { return device_detail::of_this_thread; }

DeviceScope::DeviceScope(at::Device device) : before_(device_detail::of_this_thread) {
  device_detail::of_this_thread = device;
}

DeviceScope::~DeviceScope() { device_detail::of_this_thread = before_; }

std::string device_text(at::Device device) {
  if (device.is_cpu()) return "CPU";
  const auto facts = device_detail::facts_of(device);
  auto text = device.str();
  if (!facts.name.empty()) text += ", " + facts.name;
  constexpr double kGib = 1024.0 * 1024 * 1024;
  if (facts.bytes > 0) text += fmt::format(", {:.1f} GiB", static_cast<double>(facts.bytes) / kGib);
  return text;
}

std::uint64_t free_memory(at::Device device) {
  if (device.is_cpu()) return available_memory();
  auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device.type()));
  return allocator != nullptr ? allocator->getMemoryInfo(device.index()).first : 0;
}

bool gpu_has_narrow_products(at::Device device) {
  return device.is_cuda() && device_detail::facts_of(device).major >= 8;
}

at::Tensor on_device(const at::Tensor& tensor, at::Device device) {
  if (!tensor.defined() || tensor.device() == device) return tensor;
  if (!device.is_cuda() || !tensor.device().is_cpu()) return tensor.to(device);
  return tensor.pin_memory().to(device, /*non_blocking=*/true);
}

}  // namespace melisma
