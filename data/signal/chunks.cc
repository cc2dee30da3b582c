#include "data/signal/chunks.h"

#include <algorithm>

namespace melisma {

std::vector<Chunk> chunks_with_context(std::int64_t total, std::int64_t chunk, std::int64_t context) {
  std::vector<Chunk> chunks;
  for (std::int64_t first = 0; first < total; first += chunk) {
    const FrameRange keep{first, std::min(total, first + chunk)};
    chunks.push_back({keep, {std::max<std::int64_t>(0, keep.first - context), std::min(total, keep.last + context)}});
  }
  return chunks;
}

}  // namespace melisma
