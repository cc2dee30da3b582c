// The improved way of matching: at the target's own rate, what one asks for of spectrum, width, dynamics and loudness,
// no true peak above a ceiling, and as loud as wanted after that limiter, not before it.
//
//   const auto goal = goal_of(references, ReferenceRule::weighted, rate, fft_size);
//   const auto matched = improve(std::move(target), goal, config, how);
//   matched.song.render(MatchFinish::limited, 0, left, right);
#pragma once
#include <cstdint>
#include <vector>

#include "infer/match/correction.h"
#include "infer/match/finish.h"
#include "infer/match/goal.h"
#include "infer/match/match.h"

namespace melisma {

// What was found and done beside MatchRecord, whose `smoothed` are here the gains of the filter, without level.
struct ImprovedRecord : FinishRecord {
  SongLoudness before;       // of the target
  bool has_loudness = true;  // false: too short or too quiet, so that levels of loud pieces were matched instead
  double wanted_lufs = 0;
  double least_dynamics_db = 0, most_dynamics_db = 0;  // what dynamics did to the level
  std::int64_t n_side_held = 0, n_limited_bins = 0;    // as CorrectionGains
};

struct ImprovedMatch {
  MatchedSong song;  // its final_amplitude is 1, its threshold the ceiling; record.peak is a true peak
  ImprovedRecord record;
};

// `config` at the target's rate (at_rate). Throws Error(data) for a target that is shorter than a spectrum or silent,
// Error(config) if the goal is on another grid. Without limiter the level is the one at which the unlimited result is
// as loud as wanted. Results do not depend on the number of threads.
[[nodiscard]] ImprovedMatch improve(StereoSignal target, const MatchGoal& goal, const MatchConfig& config,
                                    const ImprovedConfig& how, bool is_limited = true);

// The gain in dB that gives a recording's levels over time the wanted spread: how far each level lies from what the
// same share of the wanted levels stays below. Both quantiles as level_quantiles(); a level relative to the
// recording's integrated loudness.
[[nodiscard]] double spread_gain_db(double level, const std::vector<double>& quantiles,
                                    const std::vector<double>& wanted);

}  // namespace melisma
