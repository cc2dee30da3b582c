// A file that nobody sees and that nothing can leave behind.
#pragma once
#include <cstdio>
#include <filesystem>
#include <memory>

namespace melisma {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using UnnamedFile = std::unique_ptr<std::FILE, CloseFile>;

// A file to write and read again on the disk of `path`, without a name: it is gone when it is closed or the process
// ends, however that comes about. Throws Error(device) naming `path`.
[[nodiscard]] UnnamedFile unnamed_file_beside(const std::filesystem::path& path);

}  // namespace melisma
