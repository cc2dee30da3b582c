// Parts made from files on all cores, or taken up from the cache where one of the same bytes and settings lies.
#pragma once
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tools/base/event.h"
#include "train/prepare/part.h"

namespace melisma {

// A file and everything besides its bytes that decides what its part holds.
struct PartSource {
  std::filesystem::path file;
  std::string name;
  std::string parameters;
};

struct PartsMade {
  std::vector<Part> parts;  // one a source
  std::vector<std::filesystem::path> paths;
  std::int64_t n_reused = 0;
};

// Calls make(i, path) on up to `threads` threads for every source whose part `cache` lacks; `doing` ("cutting
// recordings") names the work in its progress. Throws Error(interrupted) when a stop is requested,
// Error(device) if the folder cannot be made, and what `make` throws.
PartsMade make_parts(std::span<const PartSource> sources, const std::filesystem::path& cache, int threads,
                     const std::string& doing,
                     const std::function<Part(std::size_t, const std::filesystem::path&)>& make, EventSink& events);

}  // namespace melisma
