#include "tools/base/memory.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace melisma {
namespace {
namespace fs = std::filesystem;

// The number a file holds; nothing if there is none ("max": no limit).
std::optional<std::uint64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

// Of the lines "key value ..." of a file, the value of `key`.
std::optional<std::uint64_t> value_in(const fs::path& path, const std::string& key) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  for (std::string line, word; file >> word; std::getline(file, line)) {
    if (word == key && file >> value) return value;
  }
  return std::nullopt;
}

// What a container's limit leaves. Pages of files that nobody has used lately are given up before anything is killed.
std::optional<std::uint64_t> left_below(const fs::path& folder, const char* limit_name, const char* used_name,
                                        const char* file_pages) {
  const auto limit = number_in(folder / limit_name), used = number_in(folder / used_name);
  if (!limit || !used) return std::nullopt;
  const auto pinned = *used - std::min(*used, value_in(folder / "memory.stat", file_pages).value_or(0));
  return *limit - std::min(*limit, pinned);
}

}  // namespace

std::uint64_t available_memory(const fs::path& root) {
  constexpr std::uint64_t kKibibyte = 1024;
  std::uint64_t bytes = value_in(root / "proc/meminfo", "MemAvailable:").value_or(0) * kKibibyte;
  const auto groups = root / "sys/fs/cgroup";
  for (const auto& left :
       {left_below(groups, "memory.max", "memory.current", "inactive_file"),
        left_below(groups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")}) {
    if (left) bytes = std::min(bytes, *left);
  }
  return bytes;
}

void release_free_memory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

void return_large_blocks_at_once() {
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 2 << 20);
#endif
}

}  // namespace melisma
