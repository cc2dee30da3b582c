#include "models/weights/mapped_file.h"

#include <ATen/ATen.h>
#include <ATen/ops/from_file.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <system_error>

#include "tools/base/error.h"

namespace melisma {
namespace mapped_file_detail {
namespace {

void delete_view(void* context) { delete static_cast<at::Tensor*>(context); }

}  // namespace
}  // namespace mapped_file_detail

MappedFile::MappedFile(const std::filesystem::path& path) {
  std::error_code code;
  const auto status = std::filesystem::status(path, code);
  if (!std::filesystem::exists(status)) fail(ErrorKind::checkpoint, "there is no file '{}'", path.string());
  if (std::filesystem::is_directory(status)) {
    fail(ErrorKind::checkpoint, "'{}' is a folder; a weights file is expected", path.string());
  }
  const auto size = std::filesystem::file_size(path, code);
  if (code) fail(ErrorKind::checkpoint, "cannot read '{}': {}", path.string(), code.message());
  if (::access(path.c_str(), R_OK) != 0) {
    fail(ErrorKind::checkpoint, "cannot read '{}': {}", path.string(), std::strerror(errno));
  }
  if (size == 0) return;
  try {
    file_ = at::from_file(path.string(), /*shared=*/false, static_cast<std::int64_t>(size), at::kByte);
  } catch (const c10::Error& error) {
    fail(ErrorKind::checkpoint, "cannot read '{}': {}", path.string(), error.what_without_backtrace());
  }
  bytes_ = {static_cast<const std::byte*>(file_.const_data_ptr()), static_cast<std::size_t>(size)};
}

c10::Storage MappedFile::storage(std::size_t offset, std::size_t size, std::size_t alignment) const {
  if (offset > bytes_.size() || size > bytes_.size() - offset) {
    fail(ErrorKind::internal, "a view of {} bytes at {} of a file of {}", size, offset, bytes_.size());
  }
  if (size == 0) return c10::Storage({}, 0, c10::GetCPUAllocator(), false);
  auto* start = static_cast<std::byte*>(file_.mutable_data_ptr()) + offset;
  if (reinterpret_cast<std::uintptr_t>(start) % alignment != 0) {
    auto copy = c10::GetCPUAllocator()->allocate(size);
    std::memcpy(copy.get(), start, size);
    return c10::Storage({}, size, std::move(copy), nullptr, false);
  }
  c10::DataPtr view(start, new at::Tensor(file_), &mapped_file_detail::delete_view, at::kCPU);
  return c10::Storage({}, size, std::move(view), nullptr, false);
}

at::Tensor MappedFile::tensor(std::size_t offset, at::IntArrayRef shape, at::ScalarType type) const {
  const auto element = c10::elementSize(type);
  auto size = element;
  for (const auto dimension : shape) size *= static_cast<std::size_t>(dimension);
  auto result = at::empty({0}, at::TensorOptions().dtype(type));
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max<std::int64_t>(shape[i], 1);
  }
  return result.set_(storage(offset, size, element), 0, shape, strides);
}

void MappedFile::release() const {
  if (file_.defined()) ::madvise(const_cast<void*>(file_.const_data_ptr()), file_.nbytes(), MADV_DONTNEED);
}

void release_mapped_file(const at::Tensor& tensor) {
  if (!tensor.has_storage()) return;
  const auto& view = tensor.storage().data_ptr();
  if (view.get_deleter() != &mapped_file_detail::delete_view) return;
  const auto& file = *static_cast<const at::Tensor*>(view.get_context());
  ::madvise(const_cast<void*>(file.const_data_ptr()), file.nbytes(), MADV_DONTNEED);  // a mapping starts at a page
}

}  // namespace melisma
