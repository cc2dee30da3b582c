#include "train/prepare/sources.h"

#include <algorithm>

#include "data/audio/audio_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

std::string folder_name(const fs::path& folder) {
  const auto whole = fs::weakly_canonical(folder);
  return whole.filename().empty() ? std::string("voice") : whole.filename().string();
}

}  // namespace

std::vector<SourceFile> find_sources(const fs::path& recordings) {
  if (!fs::exists(recordings)) {
    fail(ErrorKind::data,
         "there is no folder '{}'; give the folder that holds the recordings, one sub-folder a speaker",
         recordings.string());
  }
  if (fs::is_regular_file(recordings)) {
    return {{recordings, recordings.filename().string(), folder_name(fs::absolute(recordings).parent_path())}};
  }
  std::vector<SourceFile> sources;
  for (const auto& path : find_audio_files(recordings)) {
    const auto relative = path.lexically_relative(recordings);
    const bool is_in_subfolder = std::next(relative.begin()) != relative.end();
    sources.push_back(
        {path, relative.generic_string(), is_in_subfolder ? relative.begin()->string() : folder_name(recordings)});
  }
  if (sources.empty()) {
    fail(ErrorKind::data, "'{}' holds no recordings; files with these endings are read: {}", recordings.string(),
         known_audio_extensions());
  }
  std::sort(sources.begin(), sources.end(), [](const SourceFile& a, const SourceFile& b) { return a.name < b.name; });
  return sources;
}

}  // namespace melisma
