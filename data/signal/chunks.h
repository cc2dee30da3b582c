// Long signals in pieces: which frames to keep of each, and which to compute for it.
#pragma once
#include <cstdint>
#include <vector>

namespace melisma {

// Frames [first, last).
struct FrameRange {
  std::int64_t first = 0, last = 0;
  [[nodiscard]] std::int64_t length() const { return last - first; }
  bool operator==(const FrameRange&) const = default;
};

// A piece to compute: `keep` is handed on, `compute` is keep plus up to `context` frames on each side inside [0,
// total).
struct Chunk {
  FrameRange keep, compute;
};
[[nodiscard]] std::vector<Chunk> chunks_with_context(std::int64_t total, std::int64_t chunk, std::int64_t context);

}  // namespace melisma
