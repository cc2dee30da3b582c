// A file that grows by whole pieces: each appended in one write, and taken back if it does not fit.
#pragma once
#include <filesystem>
#include <string_view>

namespace melisma {

class AppendFile {
 public:
  // Opens `path`, made if absent. Throws Error(device) naming path and cause.
  explicit AppendFile(std::filesystem::path path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  // Throws Error(device) if not all of it can be written (disk full); the file is then as it was before.
  void append(std::string_view piece);
  // Waits until the disk has it.
  void sync();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace melisma
