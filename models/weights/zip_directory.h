// The table of contents of a zip archive of stored (uncompressed) records, as PyTorch writes them.
#pragma once
#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>

namespace melisma {

struct ZipRecord {
  std::size_t offset = 0, size = 0;  // of its bytes, within the file
};

// Records by full name ("archive/data.pkl"). Throws Error(checkpoint) if the archive is cut off, a record is
// compressed, or anything in the tables points outside the file. Zip64 is understood; checksums are not looked at.
// `pause` is called now and then: looking at thousands of record headers brings as many pages of a mapped file into
// memory.
[[nodiscard]] std::map<std::string, ZipRecord> read_zip_directory(std::span<const std::byte> file,
                                                                  const std::function<void()>& pause = {});

}  // namespace melisma
