// Which files a folder of recordings holds, and whose voice each one is.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace melisma {

struct SourceFile {
  std::filesystem::path path;
  std::string name;     // relative to the folder, with '/'
  std::string speaker;  // name of the sub-folder it lies in; of the folder itself for files beside the sub-folders
};

// All audio files below `recordings` (or the one file it is), sorted by name. Throws Error(data) for a missing or empty
// folder, saying what was looked for.
[[nodiscard]] std::vector<SourceFile> find_sources(const std::filesystem::path& recordings);

}  // namespace melisma
