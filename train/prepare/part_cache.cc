#include "train/prepare/part_cache.h"

#include <fstream>
#include <mutex>
#include <optional>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"
#include "tools/base/stop.h"
#include "train/prepare/parallel.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

// Changes with the code that makes parts: parts of another version are not taken up.
constexpr std::string_view kPartVersion = "part 1";

// The bytes of a file, read in pieces; nothing if it cannot be read.
std::optional<std::string> hash_of_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  ContentHasher hasher;
  std::vector<char> piece(1 << 20);
  while (file) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    hasher.add(std::as_bytes(std::span(piece).first(static_cast<std::size_t>(file.gcount()))));
  }
  if (!file.eof()) return std::nullopt;
  return hasher.hex();
}

}  // namespace

PartsMade make_parts(std::span<const PartSource> sources, const fs::path& cache, int threads, const std::string& doing,
                     const std::function<Part(std::size_t, const fs::path&)>& make, EventSink& events) {
  PartsMade result{std::vector<Part>(sources.size()), std::vector<fs::path>(sources.size()), 0};
  std::mutex mutex;
  std::size_t n_done = 0;
  const auto work = [&](std::size_t i) {
    const auto file_hash = hash_of_file(sources[i].file).value_or("unreadable " + sources[i].name);
    const auto key = content_hash(fmt::format("{}\n{}\n{}", kPartVersion, file_hash, sources[i].parameters));
    const auto folder = cache / key.substr(0, 2);
    make_folders(folder, "name another --workspace");
    result.paths[i] = folder / (key + ".part");
    auto found = read_part(result.paths[i]);
    const bool is_reused = found.has_value();
    result.parts[i] = is_reused ? *std::move(found) : make(i, result.paths[i]);
    const std::lock_guard lock(mutex);
    result.n_reused += is_reused ? 1 : 0;
    events.receive(
        ProgressEvent{doing, static_cast<double>(++n_done), static_cast<double>(sources.size()), "files", {}});
  };
  if (!for_each_parallel(sources.size(), threads, work)) {
    throw Error::interrupted(stop_requested(),
                             fmt::format("stopped with {} of {} recordings cut; the same command continues from here",
                                         n_done, sources.size()));
  }
  return result;
}

}  // namespace melisma
