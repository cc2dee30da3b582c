// The .safetensors container: tensors by name and a table of strings, mapped, strictly checked, nothing executed.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "models/weights/state_dict.h"

namespace melisma {

using FileMetadata = std::map<std::string, std::string>;

struct SafetensorsFile {
  StateDict tensors;  // in the order of the header, views of the file
  FileMetadata metadata;
  std::string tensor_bytes_sha256() const;  // SHA-256 of everything after the header

  std::filesystem::path path;
  std::size_t data_offset = 0;  // where the tensor bytes start
};

// Throws Error(checkpoint) naming the file and the reason for anything the format forbids: duplicate names, holes,
// overlaps, offsets or element counts out of range, a header over 100 MB or not UTF-8 JSON of the right form.
[[nodiscard]] SafetensorsFile read_safetensors(const std::filesystem::path& path);
// True if the first bytes can only be a .safetensors file (header length, then '{').
[[nodiscard]] bool looks_like_safetensors(const std::filesystem::path& path);

// Metadata key of the SHA-256 of the tensor bytes; the writer fills it in when it is asked to.
inline constexpr const char* kTensorDigestKey = "sha256_of_tensors";

// A tensor that is made when its turn comes to be written, so that converting a large model needs memory for one
// tensor at a time. `make` must return `shape` and `type`.
struct TensorToWrite {
  std::string name;
  std::vector<std::int64_t> shape;
  at::ScalarType type;
  std::function<at::Tensor()> make;
  std::function<void()> release = {};  // called when it is written, to give back what it was made from
};

// Written atomically in the layout of the reference writer: element size descending, then name; metadata first; header
// padded with spaces to a multiple of 8. with_digest adds kTensorDigestKey. Throws Error(device) if the disk refuses.
void write_safetensors(const std::filesystem::path& path, std::vector<TensorToWrite> tensors, FileMetadata metadata,
                       bool with_digest);
void write_safetensors(const std::filesystem::path& path, const StateDict& tensors, const FileMetadata& metadata);

}  // namespace melisma
