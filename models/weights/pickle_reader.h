// The pickle language of PyTorch files, and of numpy's arrays of numbers, read as data: a fixed list of names is
// understood, every other is refused.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "models/weights/pickle_value.h"

namespace melisma {

// A storage a pickle asks for: its key in the container, element type and count.
struct StorageRequest {
  std::string key;
  at::ScalarType type = at::kByte;
  std::uint64_t numel = 0;
  [[nodiscard]] std::uint64_t n_bytes() const;  // Error(checkpoint) if it cannot be counted
};

// Gives the bytes of a storage. Nothing means that they are not known yet: its tensors come out as None.
using StorageSource = std::function<std::optional<c10::Storage>(const StorageRequest&)>;

struct UnpickledValue {
  PickleValue value;
  std::size_t n_bytes_read = 0;  // a file may hold several pickles in a row
};

// Reads the pickle at the start of `bytes`. Throws Error(checkpoint) with the reason for anything unknown, cut off,
// cyclic, nested deeper than 64 or not fitting its storage; the name of a refused global is in the message. Nothing is
// imported, called or executed, and memory is bounded by the length of the pickle.
[[nodiscard]] UnpickledValue read_pickle(std::span<const std::byte> bytes, const StorageSource& storages);

}  // namespace melisma
