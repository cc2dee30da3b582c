// Long recordings in pieces that a transformer hears one at a time.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/signal/chunks.h"

namespace melisma {

inline constexpr std::int64_t kRowSamples = 320;  // of a content row: 20 ms at 16 kHz

// How RVC cuts what is longer than it hears at once: about every 30 s, at the quietest place within 5 s of it, each
// piece with a second of its neighbours on both sides.
inline constexpr std::int64_t kWholeRows = 1600, kPieceRows = 1500, kSearchRows = 250, kContextRows = 50;

// Pieces of the first n_rows rows of 20 ms of a wave: one if there are at most kWholeRows.
[[nodiscard]] std::vector<Chunk> recording_pieces(std::span<const float> wave_16k, std::int64_t n_rows);

}  // namespace melisma
