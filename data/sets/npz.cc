// The zip container of .npz: central directory, stored and deflated members.
#include <zlib.h>

#include <cstring>
#include <memory>
#include <optional>

#include "data/sets/npy.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

struct Member {
  std::string name;
  std::uint64_t method = 0, packed_size = 0, size = 0, position = 0, checksum = 0;
};

class ZipReader {
 public:
  ZipReader(std::span<const std::byte> file, std::string name) : file_(file), name_(std::move(name)) {}

  // Sizes come from the central directory: numpy writes 0xFFFFFFFF into every local header.
  [[nodiscard]] std::vector<Member> members() const {
    const auto end = find_end();
    auto at = number(end + 16, 4);
    const auto n_members = number(end + 10, 2);
    if (n_members == 0xFFFF || at == 0xFFFFFFFF) refuse("it has more members than are read here");
    std::vector<Member> found;
    for (std::uint64_t i = 0; i < n_members; ++i) {
      if (number(at, 4) != 0x02014b50) refuse("its directory is damaged");
      Member member{
          "", number(at + 10, 2), number(at + 20, 4), number(at + 24, 4), number(at + 42, 4), number(at + 16, 4)};
      const auto name_size = number(at + 28, 2), extra_size = number(at + 30, 2);
      const auto text = slice(at + 46, name_size);
      member.name.assign(reinterpret_cast<const char*>(text.data()), text.size());
      widen(member, at + 46 + name_size, extra_size);
      at += 46 + name_size + extra_size + number(at + 32, 2);
      found.push_back(std::move(member));
    }
    return found;
  }

  [[nodiscard]] std::vector<std::byte> content(const Member& member) const {
    if (number(member.position, 4) != 0x04034b50) refuse("member '" + member.name + "' is damaged");
    const auto start = member.position + 30 + number(member.position + 26, 2) + number(member.position + 28, 2);
    const auto packed = slice(start, member.packed_size);
    auto bytes = member.method == 0 ? std::vector<std::byte>(packed.begin(), packed.end()) : inflated(member, packed);
    const auto checksum = crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    if (checksum != member.checksum) refuse("member '" + member.name + "' is damaged (checksum)");
    return bytes;
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    fail(ErrorKind::data, "'{}' is not a readable .npz file: {}", name_, why);
  }
  [[nodiscard]] std::span<const std::byte> slice(std::uint64_t at, std::uint64_t size) const {
    if (at > file_.size() || size > file_.size() - at) refuse("it is cut short");
    return file_.subspan(at, size);
  }
  [[nodiscard]] std::uint64_t number(std::uint64_t at, std::size_t bytes) const {
    std::uint64_t value = 0;
    std::memcpy(&value, slice(at, bytes).data(), bytes);
    return value;
  }
  [[nodiscard]] std::uint64_t find_end() const {
    for (std::size_t back = 22; back <= file_.size() && back < 22 + 65536; ++back) {
      if (number(file_.size() - back, 4) == 0x06054b50) return file_.size() - back;
    }
    refuse("it is no zip archive, or its end is missing");
  }
  // Sizes and positions past 4 GB stand in the zip64 field, in this order, only where the short field is full.
  void widen(Member& member, std::uint64_t at, std::uint64_t size) const {
    for (const auto end = at + size; at + 4 <= end; at += 4 + number(at + 2, 2)) {
      if (number(at, 2) != 1) continue;
      auto field = at + 4;
      for (auto* value : {&member.size, &member.packed_size, &member.position}) {
        if (*value != 0xFFFFFFFF) continue;
        *value = number(field, 8);
        field += 8;
      }
    }
  }
  [[nodiscard]] std::vector<std::byte> inflated(const Member& member, std::span<const std::byte> packed) const {
    if (member.method != 8) refuse(fmt::format("member '{}' is packed by method {}", member.name, member.method));
    // Deflate cannot shrink more than about 1032 times: a larger claim is damage, not data.
    if (member.size / 1040 > packed.size()) refuse("member '" + member.name + "' claims an impossible size");
    std::vector<std::byte> out(member.size);
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) refuse("zlib cannot start");
    const std::unique_ptr<z_stream, int (*)(z_streamp)> closing(&stream, inflateEnd);
    if (packed.size() > UINT32_MAX || out.size() > UINT32_MAX) refuse("member '" + member.name + "' is over 4 GB");
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    if (inflate(&stream, Z_FINISH) != Z_STREAM_END || stream.avail_out != 0) {
      refuse("member '" + member.name + "' is damaged (deflate)");
    }
    return out;
  }

  std::span<const std::byte> file_;
  std::string name_;
};

}  // namespace

std::vector<std::pair<std::string, NpyArray>> read_npz(const std::filesystem::path& path) {
  const auto content = read_file(path);
  const ZipReader zip(std::as_bytes(std::span(content)), path.string());
  std::vector<std::pair<std::string, NpyArray>> arrays;
  for (const auto& member : zip.members()) {
    auto name = member.name;
    if (!name.ends_with(".npy")) continue;
    name.resize(name.size() - 4);
    arrays.emplace_back(name, parse_npy(zip.content(member), path.string() + ":" + member.name));
  }
  return arrays;
}

}  // namespace melisma
