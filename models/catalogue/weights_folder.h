// Weights of published networks: where their files lie, which ones they are, and what was made of them before.
#pragma once
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace melisma {

// $MELISMA_WEIGHTS, or else "weights" in $MELISMA_CACHE (default ~/.cache/melisma).
[[nodiscard]] std::filesystem::path weights_folder();

// The file that a setting means: a path, or the name of a file in the folder of weights. Throws Error(checkpoint)
// saying where it was looked for.
[[nodiscard]] std::filesystem::path find_weights(const std::string& name_or_path);

// The SHA-256 of the file's bytes, remembered while the file stays as it is (size and time of writing).
[[nodiscard]] std::string sha256_of_weights(const std::filesystem::path& path);

// The file in the folder of weights, or below it, whose bytes have that SHA-256; nothing if there is none.
[[nodiscard]] std::optional<std::filesystem::path> weights_with_sha256(std::string_view sha256);

// Tells a file from what lay there before.
struct FileStamp {
  std::uintmax_t size = 0;
  std::filesystem::file_time_type written;
  bool operator==(const FileStamp&) const = default;
};
// Throws Error(checkpoint) if the file cannot be looked at.
[[nodiscard]] FileStamp stamp_of(const std::filesystem::path& path);

// make(path), or what it gave before if the file is still the same one. Whoever asks meanwhile waits for the one
// result. `place`: where the result lives, if there may be one in each of several places (a device's name).
template <class Value>
Value remembered(const std::filesystem::path& path, Value (*make)(const std::filesystem::path&),
                 const std::string& place = {}) {
  static std::mutex mutex;
  static std::map<std::tuple<Value (*)(const std::filesystem::path&), std::filesystem::path, std::string>,
                  std::pair<FileStamp, Value>>
      known;
  const auto stamp = stamp_of(path);
  const std::tuple key(make, std::filesystem::absolute(path), place);
  const std::lock_guard lock(mutex);
  const auto found = known.find(key);
  if (found != known.end() && found->second.first == stamp) return found->second.second;
  auto value = make(path);
  known[key] = {stamp, value};
  return value;
}

}  // namespace melisma
