#include "models/weights/zip_directory.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "tools/base/error.h"

namespace melisma {
namespace zip_directory_detail {
namespace {

// Signatures and sizes of APPNOTE.TXT 4.3.
constexpr std::uint32_t kEndSignature = 0x06054b50, kEnd64Signature = 0x06064b50, kLocator64Signature = 0x07064b50;
constexpr std::uint32_t kEntrySignature = 0x02014b50, kLocalSignature = 0x04034b50;
constexpr std::size_t kEndSize = 22, kEnd64Size = 56, kLocator64Size = 20, kEntrySize = 46, kLocalSize = 30;
constexpr std::size_t kLongestComment = 65535;
constexpr std::uint64_t kEntriesBetweenPauses = 64;
constexpr std::uint64_t kIn64 = 0xffffffff;  // the number stands in the zip64 table instead

[[noreturn]] void fail_cut_off() {
  fail(ErrorKind::checkpoint, "it starts like a zip archive but has no table of contents: the file is truncated");
}

class ZipBytes {
 public:
  explicit ZipBytes(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <class Number>
  [[nodiscard]] std::uint64_t number(std::uint64_t offset) const {
    Number value = 0;
    std::memcpy(&value, part(offset, sizeof(value)).data(), sizeof(value));
    return value;
  }

  [[nodiscard]] std::span<const std::byte> part(std::uint64_t offset, std::uint64_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) {
      fail(ErrorKind::checkpoint, "its zip tables point outside the file: it is damaged or truncated");
    }
    return bytes_.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
  }

  [[nodiscard]] std::string text(std::uint64_t offset, std::uint64_t size) const {
    const auto found = part(offset, size);
    return {reinterpret_cast<const char*>(found.data()), found.size()};
  }

  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

// Offset of the end record, which is searched for backwards past a comment.
std::uint64_t find_end(const ZipBytes& zip) {
  if (zip.size() < kEndSize) fail_cut_off();
  const auto last = zip.size() - kEndSize;
  const auto first = last > kLongestComment ? last - kLongestComment : 0;
  for (auto at = last + 1; at-- > first;) {
    if (zip.number<std::uint32_t>(at) == kEndSignature) return at;
  }
  fail_cut_off();
}

struct ZipTable {
  std::uint64_t n_entries, offset, size;
};

ZipTable find_table(const ZipBytes& zip) {
  const auto end = find_end(zip);
  ZipTable table{zip.number<std::uint16_t>(end + 10), zip.number<std::uint32_t>(end + 16),
                 zip.number<std::uint32_t>(end + 12)};
  if (end >= kLocator64Size && zip.number<std::uint32_t>(end - kLocator64Size) == kLocator64Signature) {
    const auto at = zip.number<std::uint64_t>(end - kLocator64Size + 8);
    (void)zip.part(at, kEnd64Size);
    if (zip.number<std::uint32_t>(at) == kEnd64Signature) {
      table = {zip.number<std::uint64_t>(at + 32), zip.number<std::uint64_t>(at + 48),
               zip.number<std::uint64_t>(at + 40)};
    }
  }
  (void)zip.part(table.offset, table.size);
  if (table.n_entries > table.size / kEntrySize) {
    fail(ErrorKind::checkpoint, "its zip tables claim {} records in {} bytes", table.n_entries, table.size);
  }
  return table;
}

// Numbers too large for 32 bits follow in an extra field with tag 1, in the order size, packed size, offset.
void read_extra(const ZipBytes& zip, std::uint64_t begin, std::uint64_t length, std::uint64_t& size,
                std::uint64_t& packed, std::uint64_t& offset) {
  const auto end = begin + length;
  for (auto at = begin; at + 4 <= end;) {
    const auto tag = zip.number<std::uint16_t>(at), field_size = zip.number<std::uint16_t>(at + 2);
    auto next = at + 4;
    at = next + field_size;
    if (tag != 1) continue;
    for (auto* number : {&size, &packed, &offset}) {
      if (*number != kIn64 || next + 8 > at) continue;
      *number = zip.number<std::uint64_t>(next);
      next += 8;
    }
  }
}

// Where the bytes of a record start: after its own header, which repeats the name.
ZipRecord locate(const ZipBytes& zip, const std::string& name, std::uint64_t header, std::uint64_t size) {
  (void)zip.part(header, kLocalSize);
  if (zip.number<std::uint32_t>(header) != kLocalSignature) {
    fail(ErrorKind::checkpoint, "its record '{}' is not where its zip table says: the file is damaged", name);
  }
  const auto data =
      header + kLocalSize + zip.number<std::uint16_t>(header + 26) + zip.number<std::uint16_t>(header + 28);
  const auto found = zip.part(data, size);
  return {static_cast<std::size_t>(data), found.size()};
}

}  // namespace
}  // namespace zip_directory_detail

std::map<std::string, ZipRecord> read_zip_directory(std::span<const std::byte> file,
                                                    const std::function<void()>& pause) {
  using namespace zip_directory_detail;
  const ZipBytes zip(file);
  const auto table = find_table(zip);
  std::map<std::string, ZipRecord> records;
  auto at = table.offset;
  for (std::uint64_t i = 0; i < table.n_entries; ++i) {
    (void)zip.part(at, kEntrySize);
    if (zip.number<std::uint32_t>(at) != kEntrySignature) {
      fail(ErrorKind::checkpoint, "its zip table is damaged at entry {}", i);
    }
    const auto method = zip.number<std::uint16_t>(at + 10);
    auto packed = zip.number<std::uint32_t>(at + 20), size = zip.number<std::uint32_t>(at + 24);
    auto header = zip.number<std::uint32_t>(at + 42);
    const auto n_name = zip.number<std::uint16_t>(at + 28), n_extra = zip.number<std::uint16_t>(at + 30);
    const auto name = zip.text(at + kEntrySize, n_name);
    read_extra(zip, at + kEntrySize + n_name, n_extra, size, packed, header);
    if (method != 0 || packed != size) {
      fail(ErrorKind::checkpoint, "its record '{}' is compressed; PyTorch stores records as they are", name);
    }
    if (!records.emplace(name, locate(zip, name, header, size)).second) {
      fail(ErrorKind::checkpoint, "its record '{}' appears twice", name);
    }
    if (pause && i % kEntriesBetweenPauses == kEntriesBetweenPauses - 1) pause();
    at += kEntrySize + n_name + n_extra + zip.number<std::uint16_t>(at + 32);
  }
  return records;
}

}  // namespace melisma
