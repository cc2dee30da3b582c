// `melisma index`: the content features of a dataset's training clips as a feature index.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace melisma {

struct IndexOptions {
  std::filesystem::path workspace;
  std::string dataset;  // a name in the workspace, or a path
  std::filesystem::path output;
  std::string speaker;   // empty = all
  std::string features;  // parameter hash of the content features; empty = the only ones there are
  std::uint64_t seed = 0;
  bool json = false;
};

// Frames of held-out clips are left out. Exit code 0.
int build_index(const IndexOptions& options);

}  // namespace melisma
