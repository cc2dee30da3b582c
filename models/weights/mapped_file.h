// A file mapped into memory, and tensors that are views of it: opening costs no reading, no copy and no memory.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace melisma {

// Private and copy-on-write: the file never changes, whatever is done to the tensors. Tensors keep the mapping alive.
class MappedFile {
 public:
  // Throws Error(checkpoint) if the file is absent, a folder or unreadable.
  explicit MappedFile(const std::filesystem::path& path);

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

  // Storage of `size` bytes at `offset`, both within the file (an internal error otherwise). Bytes that do not lie on
  // a boundary of `alignment` are copied, because unaligned elements cannot be used in place.
  [[nodiscard]] c10::Storage storage(std::size_t offset, std::size_t size, std::size_t alignment) const;

  // A contiguous tensor at `offset`, its size within the file.
  [[nodiscard]] at::Tensor tensor(std::size_t offset, at::IntArrayRef shape, at::ScalarType type) const;

  // Gives its memory back to the system; what is used again is read again. In-place changes to its tensors are lost.
  void release() const;

 private:
  at::Tensor file_;  // [size] uint8; undefined for an empty file
  std::span<const std::byte> bytes_;
};

// Gives the memory of the MappedFile that a tensor is a view of back to the system; what is used again is read again.
// In-place changes to any tensor of that file are lost. Does nothing for tensors that are no such view.
void release_mapped_file(const at::Tensor& tensor);

}  // namespace melisma
