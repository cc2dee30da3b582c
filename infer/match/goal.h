// What the improved mode aims at: one sound out of one reference or several, on the target's grid of frequencies.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "infer/match/match.h"

namespace melisma {

struct WeightedProfile {
  MatchProfile profile;
  double weight = 1;  // above 0
};

enum class ReferenceRule {
  // Each reference counts by its weight, however loud or long it is: means of their magnitude spectra at one level, of
  // their loudness in LU and of their spread of levels.
  weighted,
  // As if the loud pieces of all had been put one behind the other, at the levels they have: weights count nothing.
  concatenated,
};

struct MatchGoal {
  MidSideSpectra spectra;         // [fft_size / 2 + 1]
  std::int64_t n_known = 0;       // bins of which every reference tells: those below its half rate
  double match_rms = 0;           // of the mid channel's loud pieces, as the references have it
  SongLoudness loudness;          // true_peak_db: the highest
  std::vector<double> quantiles;  // as level_quantiles()
};

// Whatever the references' rates and spectrum sizes are. Throws Error(config) for no reference.
[[nodiscard]] MatchGoal goal_of(std::span<const WeightedProfile> references, ReferenceRule rule,
                                std::int64_t sample_rate_hz, std::int64_t fft_size);

// Loud pieces put one behind the other, for mode exact: the loudest of the references has the peak that counts. Throws
// Error(config) for references of different rates or spectrum sizes, or none.
[[nodiscard]] MatchProfile concatenated(std::span<const MatchProfile> references);

}  // namespace melisma
