// The first half of Harvest: candidates of every millisecond, with what speaks for them.
#pragma once
#include <cstdint>
#include <span>

#include "data/signal/ragged.h"

namespace melisma {

struct F0Candidate {
  double hz = 0;
  double score = 0;  // the inverse of how far the harmonics are from multiples of hz, relative: larger is surer
};

using CandidateFrames = Ragged<F0Candidate>;  // [frame][candidate]

// A mono signal without mean at rate_hz -> frames at 0, 1, 2 ... n_frames-1 ms. Threads: those OpenMP gives.
[[nodiscard]] CandidateFrames harvest_candidates(std::span<const double> signal, double rate_hz, double fmin_hz,
                                                 double fmax_hz, std::int64_t n_frames);

// The candidate nearest to hz among those at most `allowed` (relative) away, 0 if there is none, and the distance.
struct NearestCandidate {
  double hz = 0, distance = 0;
};
[[nodiscard]] NearestCandidate nearest_candidate(std::span<const F0Candidate> candidates, double hz, double allowed);

}  // namespace melisma
