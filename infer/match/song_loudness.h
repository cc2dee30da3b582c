// How loud a stereo recording is: integrated and peak by BS.1770, and how its level is spread over time.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "infer/match/stereo.h"

namespace melisma {

// Levels that so many hundredths of a recording's time stay below: 5, 10, ... 95.
inline constexpr std::int64_t kLevelQuantiles = 19;

struct SongLoudness {
  double integrated_lufs = -std::numeric_limits<double>::infinity();  // minus infinity: silence, or below 400 ms
  double range_lu = 0;
  double true_peak_db = -std::numeric_limits<double>::infinity();
  [[nodiscard]] bool is_measurable() const { return integrated_lufs > -70; }
};

// Gives frames [first, first + left.size()) of a recording.
using FrameReader = std::function<void(std::int64_t first, std::span<double> left, std::span<double> right)>;

// As libebur128 measures it; the peak only if asked for, it costs as much again.
[[nodiscard]] SongLoudness loudness_of(std::int64_t n_frames, std::int64_t sample_rate_hz, const FrameReader& read,
                                       bool with_peak = true);
[[nodiscard]] SongLoudness loudness_of(const StereoSignal& signal, bool with_peak = true);

// One level every 100 ms, of the 400 ms around its middle (K-weighted, LUFS; at the ends of what there is), at
// least -100. One value for what is shorter than 100 ms.
[[nodiscard]] std::vector<double> levels_over_time(const StereoSignal& signal);
inline constexpr double kLevelStepSeconds = 0.1;

// kLevelQuantiles rising levels relative to `integrated_lufs`, of those no more than 20 LU below it; all 0 if nothing
// can be measured.
[[nodiscard]] std::vector<double> level_quantiles(std::vector<double> levels, double integrated_lufs);

}  // namespace melisma
