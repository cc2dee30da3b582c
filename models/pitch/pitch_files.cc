#include "models/pitch/pitch_files.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>

#include "models/weights/model_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"

namespace melisma {
namespace pitch_files_detail {
namespace {
namespace fs = std::filesystem;

// Tells a file from what lay there before.
struct Stamp {
  std::uintmax_t size = 0;
  fs::file_time_type written;
  bool operator==(const Stamp&) const = default;
};

Stamp stamp_of(const fs::path& path) {
  std::error_code problem;
  const Stamp stamp{fs::file_size(path, problem), fs::last_write_time(path, problem)};
  if (problem) fail(ErrorKind::checkpoint, "cannot read the weights '{}': {}", path.string(), problem.message());
  return stamp;
}

// make(path), or what it gave before if the file is still the same one.
template <class Value>
Value remembered(const fs::path& path, Value (*make)(const fs::path&)) {
  static std::mutex mutex;
  static std::map<fs::path, std::pair<Stamp, Value>> known;
  const auto stamp = stamp_of(path);
  const auto key = fs::absolute(path);
  const std::lock_guard lock(mutex);  // held while making: whoever asks meanwhile waits for the one result
  const auto found = known.find(key);
  if (found != known.end() && found->second.first == stamp) return found->second.second;
  auto value = make(path);
  known[key] = {stamp, value};
  return value;
}

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

template <class Network>
std::shared_ptr<const Network> build(const fs::path& path, const auto& shape_of) {
  const c10::InferenceMode inference;
  const auto file = read_model(path);
  return with_context(fmt::format("loading '{}'", path.string()), [&] {
    NamedWeights weights(file.weights);
    auto network = std::make_shared<const Network>(shape_of(file), weights);
    weights.check();
    return network;
  });
}

std::shared_ptr<const Rmvpe> build_rmvpe(const fs::path& path) {
  return build<Rmvpe>(path, [](const ModelFile& file) { return rmvpe_shape_of(file.weights); });
}
std::shared_ptr<const Crepe> build_crepe(const fs::path& path) {
  return build<Crepe>(path, [](const ModelFile& file) { return crepe_shape_of(file.weights); });
}
std::shared_ptr<const Fcpe> build_fcpe(const fs::path& path) { return build<Fcpe>(path, fcpe_shape_of); }

}  // namespace
}  // namespace pitch_files_detail

std::shared_ptr<const Rmvpe> load_rmvpe(const std::filesystem::path& path) {
  return pitch_files_detail::remembered(path, pitch_files_detail::build_rmvpe);
}

std::shared_ptr<const Crepe> load_crepe(const std::filesystem::path& path) {
  return pitch_files_detail::remembered(path, pitch_files_detail::build_crepe);
}

std::shared_ptr<const Fcpe> load_fcpe(const std::filesystem::path& path) {
  return pitch_files_detail::remembered(path, pitch_files_detail::build_fcpe);
}

std::filesystem::path find_weights(const std::string& name_or_path) {
  namespace fs = std::filesystem;
  const fs::path given(name_or_path);
  if (fs::is_regular_file(given)) return given;
  const auto folder = pitch_files_detail::weights_folder();
  if (given.is_relative() && fs::is_regular_file(folder / given)) return folder / given;
  fail(ErrorKind::checkpoint,
       "there are no weights '{}', neither at that path nor in '{}'; put the file there, or set "
       "its path",
       name_or_path, folder.string());
}

std::string sha256_of_weights(const std::filesystem::path& path) {
  return pitch_files_detail::remembered(path, sha256_of_file);
}

}  // namespace melisma
