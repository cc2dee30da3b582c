#include "models/weights/pth_file.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <fstream>
#include <map>
#include <vector>

#include "models/weights/mapped_file.h"
#include "models/weights/pickle_reader.h"
#include "models/weights/zip_directory.h"
#include "tools/base/error.h"

namespace melisma {
namespace pth_file_detail {
namespace {

constexpr std::string_view kZipStart = "PK\x03\x04";
// pickle.dumps(0x1950a86a20f9469cfc6c, protocol=2), with which files before PyTorch 1.6 start.
constexpr std::string_view kOldStart =
    "\x80\x02\x8a\x0al\xfc\x9c"
    "F\xf9 j\xa8P\x19.";

bool starts_with(std::span<const std::byte> bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

// The folder inside the archive that holds data.pkl, with its slash.
std::string archive_folder(const std::map<std::string, ZipRecord>& records) {
  constexpr std::string_view kPickle = "data.pkl";
  for (const auto& [name, record] : records) {
    if (name == kPickle || name.ends_with("/data.pkl")) return name.substr(0, name.size() - kPickle.size());
  }
  fail(ErrorKind::checkpoint, "it is a zip archive without 'data.pkl', so not a PyTorch file");
}

void check_byte_order(std::span<const std::byte> bytes, const std::map<std::string, ZipRecord>& records,
                      const std::string& folder) {
  const auto order = records.find(folder + "byteorder");
  if (order != records.end() && starts_with(bytes.subspan(order->second.offset, order->second.size), "big")) {
    fail(ErrorKind::checkpoint, "its numbers are big endian; save it again on an ordinary machine");
  }
}

PickleValue read_zip_container(const MappedFile& file) {
  const auto records = read_zip_directory(file.bytes(), [&] { file.release(); });
  const auto folder = archive_folder(records);
  check_byte_order(file.bytes(), records, folder);
  if (records.contains(folder + "constants.pkl")) {
    fail(ErrorKind::checkpoint, "it is a TorchScript program, not weights; save its state_dict() instead");
  }
  std::map<std::string, c10::Storage> shared;
  const auto source = [&](const StorageRequest& request) -> std::optional<c10::Storage> {
    if (const auto found = shared.find(request.key); found != shared.end()) return found->second;
    const auto record = records.find(folder + "data/" + request.key);
    if (record == records.end()) {
      fail(ErrorKind::checkpoint, "it has no record 'data/{}', which a tensor needs: the file is damaged", request.key);
    }
    const auto [offset, size] = record->second;
    return shared.emplace(request.key, file.storage(offset, size, c10::elementSize(request.type))).first->second;
  };
  const auto& pickle = records.at(folder + "data.pkl");
  return read_pickle(file.bytes().subspan(pickle.offset, pickle.size), source).value;
}

// The container before 1.6: pickles of magic, protocol, system, value and storage keys, then each storage as a count
// and its bytes.
class OldContainer {
 public:
  explicit OldContainer(const MappedFile& file) : file_(file), position_(kOldStart.size()) {}

  PickleValue read() {
    for (int i = 0; i < 2; ++i) (void)next_pickle({});  // protocol version, system facts
    const auto value_at = position_;
    std::map<std::string, StorageRequest> requests;
    (void)next_pickle([&](const StorageRequest& request) -> std::optional<c10::Storage> {
      requests.emplace(request.key, request);
      return std::nullopt;
    });
    const auto keys = next_pickle({});
    const auto storages = storages_of(keys, requests);
    position_ = value_at;
    return next_pickle([&](const StorageRequest& request) -> std::optional<c10::Storage> {
      const auto found = storages.find(request.key);
      if (found == storages.end()) fail(ErrorKind::checkpoint, "it holds no storage '{}'", request.key);
      return found->second;
    });
  }

 private:
  PickleValue next_pickle(const StorageSource& source) {
    const StorageSource none = [](const StorageRequest&) { return std::nullopt; };
    auto [value, size] = read_pickle(file_.bytes().subspan(position_), source ? source : none);
    position_ += size;
    return value;
  }

  std::map<std::string, c10::Storage> storages_of(const PickleValue& keys,
                                                  const std::map<std::string, StorageRequest>& requests) {
    if (keys.sequence() == nullptr) fail(ErrorKind::checkpoint, "its list of storages is missing");
    std::map<std::string, c10::Storage> storages;
    for (const auto& key : keys.sequence()->items) {
      const auto request = key.text() == nullptr ? requests.end() : requests.find(*key.text());
      if (request == requests.end()) fail(ErrorKind::checkpoint, "it lists a storage that no tensor uses");
      const auto n_bytes = request->second.n_bytes();
      std::uint64_t count = 0;
      if (file_.size() - position_ < sizeof(count)) fail(ErrorKind::checkpoint, "the file is truncated");
      std::memcpy(&count, file_.bytes().data() + position_, sizeof(count));
      position_ += sizeof(count);
      if (count != request->second.numel || n_bytes > file_.size() - position_) {
        fail(ErrorKind::checkpoint, "storage '{}' claims {} elements, but the file {}", *key.text(),
             request->second.numel, count != request->second.numel ? "states another count" : "is truncated");
      }
      storages.emplace(*key.text(), file_.storage(position_, static_cast<std::size_t>(n_bytes),
                                                  c10::elementSize(request->second.type)));
      position_ += static_cast<std::size_t>(n_bytes);
    }
    return storages;
  }

  const MappedFile& file_;
  std::size_t position_;
};

PickleValue read_any_container(const MappedFile& file) {
  if (starts_with(file.bytes(), kZipStart)) return read_zip_container(file);
  if (starts_with(file.bytes(), kOldStart)) return OldContainer(file).read();
  // A bare pickle is no PyTorch file; reading it names what it would have run.
  (void)read_pickle(file.bytes(), [](const StorageRequest&) { return std::nullopt; });
  fail(ErrorKind::checkpoint, "it is a bare pickle, not a PyTorch file");
}

}  // namespace
}  // namespace pth_file_detail

PickleValue read_pth(const std::filesystem::path& path) {
  const MappedFile file(path);
  return with_context(fmt::format("reading '{}'", path.string()),
                      [&] { return pth_file_detail::read_any_container(file); });
}

bool looks_like_pth(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 4> start{};
  if (!file.read(start.data(), start.size())) return false;
  const std::string_view text(start.data(), start.size());
  return text == pth_file_detail::kZipStart || (text[0] == '\x80' && text[1] >= 2 && text[1] <= 5);
}

}  // namespace melisma
