// How a long piece is cut for conversion: overlapping windows for the text encoder, chunks with context for everything
// after it.
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

// Windows of at most `window` frames that cover [0, total), neighbours overlapping by at least `overlap`; evenly
// spread, one window if total fits. The grid depends on the total only, so it is the same however the rest is chunked.
[[nodiscard]] std::vector<FrameRange> encoder_windows(std::int64_t total, std::int64_t window, std::int64_t overlap);

// A piece to compute: `keep` is handed on, `compute` is keep plus up to `context` frames on each side inside [0,
// total).
struct Chunk {
  FrameRange keep, compute;
};
[[nodiscard]] std::vector<Chunk> chunks_with_context(std::int64_t total, std::int64_t chunk, std::int64_t context);

}  // namespace melisma
