// The Viterbi decoder of pYIN: pitch bins that move a few semitones a frame, each voiced or unvoiced.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace melisma {

// What one frame says: probabilities of the voiced bins that have any, ascending, and of each unvoiced bin.
struct PitchObservation {
  struct Bin {
    std::int32_t bin;
    float hz;  // the candidate, refined
    double probability;
  };
  std::vector<Bin> voiced;
  double unvoiced = 0;
};

struct PitchDecoderConfig {
  std::int64_t n_bins = 0;
  std::int64_t half_width = 0;      // bins a pitch can move in one frame; triangular prior
  double switch_probability = .01;  // of turning voiced or unvoiced
};

// The likeliest states, one a frame: 0 ... n_bins-1 voiced, n_bins ... 2 n_bins - 1 unvoiced; all starts equally
// likely. Equals the decoding over the full transition matrix, moves of probability zero included (they weigh
// ln(smallest normal double), as in librosa.sequence.viterbi).
[[nodiscard]] std::vector<std::int32_t> decode_pitch(std::span<const PitchObservation> observations,
                                                     const PitchDecoderConfig& config);

}  // namespace melisma
