#include "models/catalogue/weights_folder.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "models/catalogue/catalogue.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"

namespace melisma {
namespace fs = std::filesystem;

fs::path weights_folder() {
  const auto variable = [](const char* name) {
    const auto* value = std::getenv(name);
    return fs::path(value == nullptr ? "" : value);
  };
  if (const auto named = variable("MELISMA_WEIGHTS"); !named.empty()) return named;
  if (const auto cache = variable("MELISMA_CACHE"); !cache.empty()) return cache / "weights";
  const auto caches = variable("XDG_CACHE_HOME");
  return (caches.empty() ? variable("HOME") / ".cache" : caches) / "melisma" / "weights";
}

fs::path find_weights(const std::string& name_or_path) {
  const fs::path given(name_or_path);
  if (fs::is_regular_file(given)) return given;
  const auto folder = weights_folder();
  if (given.is_relative() && fs::is_regular_file(folder / given)) return folder / given;
  fail(ErrorKind::checkpoint,
       "there are no weights '{}', neither at that path nor in '{}'; put the file there, or set its path{}",
       name_or_path, folder.string(), how_to_fetch(name_or_path));
}

std::optional<fs::path> weights_with_sha256(std::string_view sha256) {
  constexpr std::array<std::string_view, 5> kEndings{".safetensors", ".pth", ".pt", ".bin", ".ckpt"};
  std::error_code absent;
  for (fs::recursive_directory_iterator entry(weights_folder(), absent), end; entry != end; entry.increment(absent)) {
    const auto is_weights =
        std::ranges::find(kEndings, entry->path().extension().string()) != kEndings.end() && entry->is_regular_file();
    if (is_weights && sha256_of_weights(entry->path()) == sha256) return entry->path();
  }
  return std::nullopt;
}

FileStamp stamp_of(const fs::path& path) {
  std::error_code problem;
  const FileStamp stamp{fs::file_size(path, problem), fs::last_write_time(path, problem)};
  if (problem) fail(ErrorKind::checkpoint, "cannot read the weights '{}': {}", path.string(), problem.message());
  return stamp;
}

std::string sha256_of_weights(const fs::path& path) { return remembered(path, sha256_of_file); }

}  // namespace melisma
