// How much each frequency of mid and side is turned up or down in the improved mode.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "infer/match/goal.h"

namespace melisma {

// At a frequency the target has the magnitudes M and S of mid and side, the reference M' and S'. Matching all of both
// means the gains M'/M and S'/S. They are taken apart into
//   spectrum  sqrt((M'^2 + S'^2) / (M^2 + S^2)), for mid and side alike: the timbre, the stereo image stays;
//   width     what turns S/M into S'/M' and leaves M^2 + S^2 as it is: the image, the timbre stays.
// Each goes its share of the way in dB; with both shares at 1 the product is M'/M and S'/S. Their mean level over
// 60 Hz to 12 kHz is taken out of the spectrum: how loud the result is is decided elsewhere.
struct CorrectionGains {
  std::vector<double> mid, side;  // [fft_size / 2 + 1] factors, `mix` included
  std::int64_t n_side_held = 0;   // bins whose side was not widened as far as the reference's: next to nothing is there
  std::int64_t n_limited = 0;     // bins that met max_boost_db or max_cut_db
};

// `target` on the grid of `goal`, at the level the target has.
[[nodiscard]] CorrectionGains correction_gains(const MidSideSpectra& target, const MatchGoal& goal,
                                               std::int64_t sample_rate_hz, const ImprovedConfig& how);

// The root mean square of magnitudes over bands of `octaves` around each bin, under a triangle; bin 0 as its
// neighbour.
[[nodiscard]] std::vector<double> octave_smoothed(std::span<const double> magnitudes, double octaves);

}  // namespace melisma
