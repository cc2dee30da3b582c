#include "models/weights/safetensors.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "models/weights/mapped_file.h"
#include "models/weights/safetensors_header.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"

namespace melisma {
namespace safetensors_detail {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor bytes are little endian in the files");

constexpr std::uint64_t kLargestHeader = 100'000'000;
constexpr std::size_t kLengthBytes = 8;

struct TypeName {
  std::string_view name;
  at::ScalarType type;
};
constexpr std::array kTypes{
    TypeName{"F64", at::kDouble},
    TypeName{"F32", at::kFloat},
    TypeName{"F16", at::kHalf},
    TypeName{"BF16", at::kBFloat16},
    TypeName{"I64", at::kLong},
    TypeName{"I32", at::kInt},
    TypeName{"I16", at::kShort},
    TypeName{"I8", at::kChar},
    TypeName{"U8", at::kByte},
    TypeName{"BOOL", at::kBool},
    TypeName{"U16", at::kUInt16},
    TypeName{"U32", at::kUInt32},
    TypeName{"U64", at::kUInt64},
    TypeName{"F8_E4M3", at::kFloat8_e4m3fn},
    TypeName{"F8_E5M2", at::kFloat8_e5m2},
    TypeName{"C64", at::kComplexFloat},
};

at::ScalarType type_named(const std::string& name, const std::string& tensor) {
  for (const auto& row : kTypes) {
    if (row.name == name) return row.type;
  }
  fail(ErrorKind::checkpoint, "tensor '{}' has the unknown type '{}'", tensor, name);
}

std::string_view name_of_type(at::ScalarType type) {
  for (const auto& row : kTypes) {
    if (row.type == type) return row.name;
  }
  fail(ErrorKind::checkpoint, "safetensors has no type for {}", c10::toString(type));
}

// The length of the header, checked against the file.
std::size_t header_length(const MappedFile& file) {
  if (file.size() < kLengthBytes) {
    fail(ErrorKind::checkpoint, "the file has {} bytes, too few for a header; it is truncated", file.size());
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.bytes().data(), kLengthBytes);
  if (length > kLargestHeader) {
    fail(ErrorKind::checkpoint, "its header claims {} bytes; at most {} are allowed", length, kLargestHeader);
  }
  if (length > file.size() - kLengthBytes) {
    fail(ErrorKind::checkpoint, "its header claims {} bytes, but the file has {}", length, file.size());
  }
  return static_cast<std::size_t>(length);
}

// Bytes of an entry's elements; overflow is an error.
std::uint64_t byte_size(const SafetensorsEntry& entry, at::ScalarType type) {
  std::uint64_t total = c10::elementSize(type);
  for (const auto dimension : entry.shape) {
    if (__builtin_mul_overflow(total, static_cast<std::uint64_t>(dimension), &total)) {
      fail(ErrorKind::checkpoint, "tensor '{}' [{}] has more elements than can be counted", entry.name,
           fmt::join(entry.shape, ","));
    }
  }
  return total;
}

// Every byte after the header belongs to exactly one tensor.
void check_coverage(const std::vector<SafetensorsEntry>& entries, std::uint64_t n_data_bytes) {
  std::vector<const SafetensorsEntry*> by_position;
  for (const auto& entry : entries) by_position.push_back(&entry);
  std::ranges::sort(by_position, {}, [](const auto* entry) { return std::pair(entry->begin, entry->end); });
  std::uint64_t covered = 0;
  for (const auto* entry : by_position) {
    if (entry->begin != covered) {
      fail(ErrorKind::checkpoint, "tensor '{}' starts at byte {}, but {} is expected: its bytes {}", entry->name,
           entry->begin, covered, entry->begin < covered ? "overlap another tensor's" : "leave a hole");
    }
    covered = entry->end;
  }
  if (covered != n_data_bytes) {
    fail(ErrorKind::checkpoint, "its tensors need {} bytes, but {} follow the header; it {}", covered, n_data_bytes,
         covered > n_data_bytes ? "is truncated" : "has trailing bytes");
  }
}

SafetensorsFile read_mapped(const MappedFile& file) {
  const auto length = header_length(file);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()) + kLengthBytes, length);
  auto header = parse_safetensors_header(text);
  SafetensorsFile content;
  content.metadata = std::move(header.metadata);
  content.data_offset = kLengthBytes + length;
  for (const auto& entry : header.entries) {
    const auto type = type_named(entry.type, entry.name);
    const auto needed = byte_size(entry, type);
    if (entry.begin > entry.end || entry.end - entry.begin != needed) {
      fail(ErrorKind::checkpoint, "tensor '{}' {}[{}] needs {} bytes, but its offsets are {} to {}", entry.name,
           entry.type, fmt::join(entry.shape, ","), needed, entry.begin, entry.end);
    }
  }
  check_coverage(header.entries, file.size() - content.data_offset);
  for (auto& entry : header.entries) {
    const auto type = type_named(entry.type, entry.name);
    content.tensors.add(std::move(entry.name), file.tensor(content.data_offset + entry.begin, entry.shape, type));
  }
  return content;
}

void check_written(const std::ofstream& file, const std::filesystem::path& path) {
  if (!file) fail_to_write(path, errno);
}

std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

// The header of `tensors`, which are in file order, padded.
std::string compose_header(const std::vector<TensorToWrite>& tensors, const FileMetadata& metadata) {
  std::vector<std::string> parts;
  if (!metadata.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : metadata) pairs.push_back(quoted(key) + ":" + quoted(value));
    parts.push_back(fmt::format(R"("__metadata__":{{{}}})", fmt::join(pairs, ",")));
  }
  std::size_t offset = 0;
  for (const auto& tensor : tensors) {
    const auto numel = std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::int64_t{1}, std::multiplies<>());
    const auto end = offset + static_cast<std::size_t>(numel) * c10::elementSize(tensor.type);
    parts.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", quoted(tensor.name),
                                name_of_type(tensor.type), fmt::join(tensor.shape, ","), offset, end));
    offset = end;
  }
  auto header = fmt::format("{{{}}}", fmt::join(parts, ","));
  header.append((8 - header.size() % 8) % 8, ' ');
  return header;
}

void write_header(std::ostream& file, const std::string& header) {
  const auto length = static_cast<std::uint64_t>(header.size());
  file.write(reinterpret_cast<const char*>(&length), kLengthBytes);
  file.write(header.data(), static_cast<std::streamsize>(header.size()));
}

void write_tensor(std::ostream& file, const TensorToWrite& plan, Sha256* digest) {
  const auto tensor = plan.make().contiguous();
  if (tensor.sizes() != at::IntArrayRef(plan.shape) || tensor.scalar_type() != plan.type) {
    fail(ErrorKind::internal, "tensor '{}' was planned as {}[{}]", plan.name, c10::toString(plan.type),
         fmt::join(plan.shape, ","));
  }
  const auto* bytes = static_cast<const std::byte*>(tensor.const_data_ptr());
  const std::span content(bytes, static_cast<std::size_t>(tensor.nbytes()));
  file.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
  if (digest != nullptr) digest->add(content);
  if (plan.release) plan.release();
}

}  // namespace
}  // namespace safetensors_detail

std::string SafetensorsFile::tensor_bytes_sha256() const {
  return sha256(MappedFile(path).bytes().subspan(data_offset));
}

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  const MappedFile file(path);
  return with_context(fmt::format("reading '{}'", path.string()), [&] {
    auto content = safetensors_detail::read_mapped(file);
    content.path = path;
    return content;
  });
}

bool looks_like_safetensors(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, safetensors_detail::kLengthBytes + 1> start{};
  if (!file.read(start.data(), start.size())) return false;
  return start[safetensors_detail::kLengthBytes] == '{' && start[6] == 0 && start[7] == 0;
}

void write_safetensors(const std::filesystem::path& path, std::vector<TensorToWrite> tensors, FileMetadata metadata,
                       bool with_digest) {
  using namespace safetensors_detail;
  std::ranges::sort(tensors, {}, [](const TensorToWrite& tensor) {
    return std::pair(-static_cast<std::int64_t>(c10::elementSize(tensor.type)), std::string_view(tensor.name));
  });
  const std::string blank(64, '0');  // as long as the digest, which is known last
  if (with_digest) metadata[kTensorDigestKey] = blank;
  write_file_atomically(path, [&](const std::filesystem::path& temporary) {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    check_written(file, path);
    write_header(file, compose_header(tensors, metadata));
    Sha256 digest;
    for (const auto& tensor : tensors) write_tensor(file, tensor, with_digest ? &digest : nullptr);
    if (with_digest) {
      metadata[kTensorDigestKey] = digest.hex();
      file.seekp(0);
      write_header(file, compose_header(tensors, metadata));
    }
    file.close();
    check_written(file, path);
  });
}

void write_safetensors(const std::filesystem::path& path, const StateDict& tensors, const FileMetadata& metadata) {
  std::vector<TensorToWrite> plans;
  for (const auto& [name, tensor] : tensors) {
    plans.push_back({name, tensor.sizes().vec(), tensor.scalar_type(), [tensor = tensor.detach()] { return tensor; }});
  }
  write_safetensors(path, std::move(plans), metadata, false);
}

}  // namespace melisma
