// A place for files that nobody keeps.
#pragma once
#include <filesystem>
#include <string_view>

namespace melisma {

// A folder below the system's temporary one, removed at the end. Throws Error(device) if there is no room for it.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace melisma
