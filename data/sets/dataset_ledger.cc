#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "data/sets/dataset.h"
#include "data/sets/dataset_layout.h"
#include "tools/base/error.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

// The text in a field of fixed width.
std::string trimmed(std::string_view field) { return std::string(field.substr(0, field.find('\0'))); }

// One page of the ledger, read and written past the HDF5 library, which may hold older bytes in memory.
class LedgerPage {
 public:
  LedgerPage(const Hdf5File& file, int descriptor, const std::string& group)
      : descriptor_(descriptor),
        time_at_(file.position_of(group + "/time_utc")),
        command_at_(file.position_of(group + "/command")),
        model_at_(file.position_of(group + "/model_hash")) {
    if (time_at_ < 0 || command_at_ < 0 || model_at_ < 0) {
      fail(ErrorKind::data, "the ledger of '{}' is not stored in place; was the file rewritten by another program?",
           file.path().string());
    }
  }
  [[nodiscard]] LedgerEntry row(std::int64_t i) const {
    return {read(time_at_, i, layout::kTimeWidth), read(command_at_, i, layout::kCommandWidth),
            read(model_at_, i, layout::kModelWidth)};
  }
  // The time is written last: a row without it does not count.
  void set(std::int64_t i, const LedgerEntry& entry) const {
    write(command_at_, i, layout::kCommandWidth, entry.command);
    write(model_at_, i, layout::kModelWidth, entry.model_hash);
    write(time_at_, i, layout::kTimeWidth, entry.time_utc);
    ::fdatasync(descriptor_);
  }

 private:
  [[nodiscard]] std::string read(std::int64_t at, std::int64_t row, std::int64_t width) const {
    std::string field(static_cast<std::size_t>(width), '\0');
    if (::pread(descriptor_, field.data(), field.size(), at + row * width) != width) return "";
    return trimmed(field);
  }
  void write(std::int64_t at, std::int64_t row, std::int64_t width, const std::string& text) const {
    std::string field = text;
    field.resize(static_cast<std::size_t>(width), '\0');
    if (::pwrite(descriptor_, field.data(), field.size(), at + row * width) != width) {
      fail(ErrorKind::device, "cannot write to the ledger: {}", std::strerror(errno));
    }
  }
  int descriptor_;
  std::int64_t time_at_, command_at_, model_at_;
};

// Writes into the first free row; false if every page is full.
bool append_in_place(const fs::path& path, const std::string& content_hash, const LedgerEntry& entry) {
  const layout::WriterLock lock(path);
  const auto current = Hdf5File::open(path);
  if (current.attribute_text("/", "content_hash") != content_hash) {
    fail(ErrorKind::data, "dataset '{}' was replaced by another while it was open; run the command again",
         path.string());
  }
  for (const auto& page : current.children("/ledger")) {
    const LedgerPage rows(current, lock.descriptor(), "/ledger/" + page);
    for (std::int64_t i = 0; i < layout::kLedgerRows; ++i) {
      if (!rows.row(i).time_utc.empty()) continue;
      rows.set(i, entry);
      return true;
    }
  }
  return false;
}

}  // namespace

std::vector<LedgerEntry> Dataset::ledger() const {
  const int descriptor = ::open(path().c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(ErrorKind::data, "cannot read '{}': {}", path().string(), std::strerror(errno));
  const auto closing = std::unique_ptr<const int, void (*)(const int*)>(&descriptor, [](const int* d) { ::close(*d); });
  const auto current = Hdf5File::open(path());
  std::vector<LedgerEntry> entries;
  for (const auto& page : current.children("/ledger")) {
    const LedgerPage rows(current, descriptor, "/ledger/" + page);
    for (std::int64_t i = 0; i < layout::kLedgerRows; ++i) {
      auto entry = rows.row(i);
      if (!entry.time_utc.empty()) entries.push_back(std::move(entry));
    }
  }
  return entries;
}

void Dataset::record_test_opening(const LedgerEntry& entry) {
  while (!append_in_place(path(), content_hash(), entry)) {
    const layout::WriterLock lock(path());
    layout::replace_with_changes(path(), [](Hdf5File& file) {
      layout::add_ledger_page(file, static_cast<std::int64_t>(file.children("/ledger").size()));
    });
  }
}

}  // namespace melisma
