#include "tests/support/pretend_device.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_as_complex_native.h>
#include <ATen/ops/view_as_real_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>

namespace melisma::testing {
namespace {

constexpr auto kType = c10::DeviceType::CUDA;
constexpr auto kKey = c10::DispatchKey::CUDA;

std::atomic<std::int64_t> n_reads{0};
thread_local c10::DeviceIndex current = 0;

// Which of the devices a thread is at, as the autograd engine asks it.
struct Guard final : c10::impl::NoOpDeviceGuardImpl<kType> {
  c10::Device exchangeDevice(c10::Device device) const override {
    const auto before = getDevice();
    uncheckedSetDevice(device);
    return before;
  }
  c10::Device getDevice() const override { return {kType, current}; }
  void setDevice(c10::Device device) const override { uncheckedSetDevice(device); }
  void uncheckedSetDevice(c10::Device device) const noexcept override {
    if (device.has_index()) current = device.index();
  }
  c10::DeviceIndex deviceCount() const noexcept override { return kPretendDevices; }
  c10::Stream getStream(c10::Device device) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, at_index(device));
  }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override { return stream; }

 private:
  static c10::Device at_index(c10::Device device) { return device.has_index() ? device : c10::Device(kType, current); }
};

// The CPU's memory under another name.
class Allocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t n) override {
    auto memory = c10::GetAllocator(c10::kCPU)->allocate(n);
    void* context = memory.get_context();
    const auto deleter = memory.get_deleter();
    void* data = memory.get();
    (void)memory.release_context();
    return c10::DataPtr(data, context, deleter, c10::Device(kType, current));
  }
  void copy_data(void* to, const void* from, std::size_t n) const override { default_copy_data(to, from, n); }
};

Allocator& allocator() {
  static Allocator one;
  return one;
}

// What LibTorch asks before it believes in a GPU.
struct Hooks final : at::CUDAHooksInterface {
  explicit Hooks(const at::CUDAHooksArgs&) {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return kPretendDevices; }
  c10::DeviceIndex getCurrentDevice() const override { return current; }
  c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetAllocator(c10::kCPU); }
};

bool is_pretended(const at::Tensor& tensor) { return tensor.defined() && tensor.device().type() == kType; }

// The same memory as a CPU tensor.
at::Tensor as_cpu(const at::Tensor& tensor) {
  if (!is_pretended(tensor)) return tensor;
  return at::from_blob(tensor.numel() > 0 ? tensor.mutable_data_ptr() : nullptr, tensor.sizes(), tensor.strides(),
                       tensor.options().device(at::kCPU).requires_grad(false));
}

c10::Storage pretended_storage(const at::Tensor& tensor, c10::Device device) {
  auto* kept = new at::Tensor(tensor);
  c10::DataPtr memory(
      tensor.storage().mutable_data(), kept, [](void* it) { delete static_cast<at::Tensor*>(it); }, device);
  return {c10::Storage::use_byte_size_t(), tensor.storage().nbytes(), std::move(memory), nullptr, false};
}

void take_over(const at::Tensor& to, const at::Tensor& cpu) {
  auto* impl = to.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(pretended_storage(cpu, to.device()));
  impl->set_sizes_and_strides(cpu.sizes(), cpu.strides(), cpu.storage_offset());
}

// A CPU tensor's memory as a tensor of the device.
at::Tensor as_pretended(const at::Tensor& cpu, c10::Device device) {
  if (!cpu.defined() || is_pretended(cpu)) return cpu;
  auto tensor =
      at::detail::make_tensor<c10::TensorImpl>(pretended_storage(cpu, device), c10::DispatchKeySet(kKey), cpu.dtype());
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(cpu.sizes(), cpu.strides(), cpu.storage_offset());
  return tensor;
}

// The tensors of an operation's arguments, lists and optional ones included, changed one by one.
template <class Change>
c10::IValue changed(const c10::IValue& value, const Change& change) {
  if (value.isTensor()) return change(value.toTensor());
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorList()) list.push_back(change(tensor));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorList()) {
      list.push_back(tensor ? std::optional(change(*tensor)) : std::nullopt);
    }
    return list;
  }
  return value;
}

// Where an operation takes place: that of its tensors, all of one place but for single numbers of the CPU.
std::optional<c10::Device> place_of(const c10::OperatorHandle& op, const torch::jit::Stack& arguments) {
  std::optional<c10::Device> place;
  bool is_mixed = false;
  const auto look = [&](const at::Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    if (is_pretended(tensor)) {
      is_mixed |= place && *place != tensor.device();
      place = tensor.device();
    }
    return tensor;
  };
  const auto look_at_cpu = [&](const at::Tensor& tensor) {
    is_mixed |= tensor.defined() && !is_pretended(tensor) && tensor.dim() > 0;
    return tensor;
  };
  for (const auto& argument : arguments) (void)changed(argument, look);
  for (const auto& argument : arguments) (void)changed(argument, look_at_cpu);
  TORCH_CHECK(!place || !is_mixed, op.operator_name(), ": tensors of two devices");
  return place;
}

// Runs the CPU's code for an operation, in the same memory.
void compute_on_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  const auto n = schema.arguments().size();
  torch::jit::Stack given(stack->end() - static_cast<std::ptrdiff_t>(n), stack->end());
  const auto place = place_of(op, given).value_or(c10::Device(kType, current));
  torch::jit::drop(stack, n);
  torch::jit::Stack run;
  for (const auto& argument : given) {
    auto converted = changed(argument, [](const at::Tensor& tensor) {
      return is_pretended(tensor) && tensor.numel() == 0 ? at::empty(tensor.sizes(), tensor.options().device(at::kCPU))
                                                         : as_cpu(tensor);
    });
    run.push_back(converted.isDevice() ? c10::IValue(c10::Device(at::kCPU)) : converted);
  }
  const auto passed = run;
  op.callBoxed(&run);
  // Results that are arguments come back as these; one that was empty may have grown.
  for (std::size_t i = 0; i < n; ++i) {
    const auto* alias = schema.arguments()[i].alias_info();
    if (alias == nullptr || !alias->isWrite() || !given[i].isTensor()) continue;
    if (is_pretended(given[i].toTensor()) && given[i].toTensor().numel() == 0) {
      take_over(given[i].toTensor(), passed[i].toTensor());
    }
  }
  for (std::size_t i = 0; i < run.size(); ++i) {
    auto result = changed(run[i], [&](const at::Tensor& tensor) {
      for (std::size_t k = 0; k < n; ++k) {
        if (passed[k].isTensor() && passed[k].toTensor().is_same(tensor)) return given[k].toTensor();
      }
      return as_pretended(tensor, place);
    });
    stack->push_back(std::move(result));
  }
}

at::Tensor make_empty(at::IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
                      std::optional<at::Device> device, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  const c10::DeviceGuard guard(device.value_or(c10::Device(kType, current)));
  return at::detail::empty_generic(size, &allocator(), c10::DispatchKeySet(kKey), type.value_or(at::kFloat), format);
}

at::Tensor make_strided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> type,
                        std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>) {
  const c10::DeviceGuard guard(device.value_or(c10::Device(kType, current)));
  return at::detail::empty_strided_generic(size, stride, &allocator(), c10::DispatchKeySet(kKey),
                                           type.value_or(at::kFloat));
}

at::Tensor& copy_here(at::Tensor& to, const at::Tensor& from, bool) {
  if (!is_pretended(to)) n_reads += 1;
  as_cpu(to).copy_(as_cpu(from));
  return to;
}

at::Scalar read_scalar(const at::Tensor& tensor) {
  n_reads += 1;
  return as_cpu(tensor).item();
}

// Those of GPUs read fp16 and give fp32, which those of CPUs refuse.
at::Tensor softmax(const at::Tensor& x, std::int64_t dim, bool half_to_float) {
  const auto here = as_cpu(x);
  return as_pretended(at::_softmax(half_to_float ? here.to(at::kFloat) : here, dim, false), x.device());
}

at::Tensor softmax_backward(const at::Tensor& gradient, const at::Tensor& made, std::int64_t dim, at::ScalarType type) {
  const auto wide = at::_softmax_backward_data(as_cpu(gradient), as_cpu(made), dim, made.scalar_type());
  return as_pretended(wide.to(type), made.device());
}

void register_operations(torch::Library& aten, torch::Library& others) {
  aten.impl("empty.memory_format", make_empty);
  aten.impl("empty_strided", make_strided);
  aten.impl("copy_", copy_here);
  aten.impl("_local_scalar_dense", read_scalar);
  aten.impl("as_strided", at::native::as_strided_tensorimpl);
  aten.impl("view", at::native::view);
  aten.impl("_reshape_alias", at::native::_reshape_alias);
  aten.impl("unfold", at::native::unfold);
  aten.impl("view_as_real", at::native::view_as_real);
  aten.impl("view_as_complex", at::native::view_as_complex);
  aten.impl("_softmax", softmax);
  aten.impl("_softmax_backward_data", softmax_backward);
  // What LibTorch would otherwise do in another way than on the CPU.
  for (const auto* name : {"convolution", "convolution_backward", "native_layer_norm", "native_layer_norm_backward"}) {
    aten.impl(name, torch::CppFunction::makeFromBoxedFunction<&compute_on_cpu>());
  }
  others.fallback(torch::CppFunction::makeFromBoxedFunction<&compute_on_cpu>());
}

bool is_pretending = false;

// LibTorch keeps its first answers about GPUs, so this is said when the program is loaded, before other constructors
// ask: where no driver is, or where it is hidden from this process.
[[gnu::constructor(200)]] void pretend() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const bool is_hidden = visible != nullptr && *visible == '\0';
  if (!is_hidden && dlopen("libcuda.so.1", RTLD_NOW) != nullptr) return;
  static const c10::impl::DeviceGuardImplRegistrar guard(kType, new Guard);
  static const at::RegistererCUDAHooksRegistry hooks("CUDAHooks", at::CUDAHooksRegistry(),
                                                     at::RegistererCUDAHooksRegistry::DefaultCreator<Hooks>);
  static torch::Library aten(torch::Library::IMPL, "aten", kKey, __FILE__, __LINE__);
  static torch::Library others(torch::Library::IMPL, "_", kKey, __FILE__, __LINE__);
  register_operations(aten, others);
  is_pretending = true;
}

}  // namespace

bool has_pretend_devices() { return is_pretending; }

at::Device pretend_device(int index) { return {kType, static_cast<c10::DeviceIndex>(index)}; }
std::int64_t n_reads_of_pretend_devices() { return n_reads; }

}  // namespace melisma::testing
