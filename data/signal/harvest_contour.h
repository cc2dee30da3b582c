// The second half of Harvest: from candidates to one contour without jumps, gaps and fragments.
#pragma once
#include <vector>

#include "data/signal/harvest_candidates.h"

namespace melisma {

// f0 in Hz of every frame of 1 ms, 0 where unvoiced.
[[nodiscard]] std::vector<double> harvest_contour(const CandidateFrames& candidates);

}  // namespace melisma
