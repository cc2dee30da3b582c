// How a long piece is cut for the text encoder: windows that overlap.
#pragma once
#include <cstdint>
#include <vector>

#include "data/signal/chunks.h"

namespace melisma {

// Windows of at most `window` frames that cover [0, total), neighbours overlapping by at least `overlap`; evenly
// spread, one window if total fits. The grid depends on the total only, so it is the same however the rest is chunked.
[[nodiscard]] std::vector<FrameRange> encoder_windows(std::int64_t total, std::int64_t window, std::int64_t overlap);

}  // namespace melisma
