// What matching changed, as text: levels of pieces, the curve, the limiter's work.
#pragma once
#include <string>

#include "infer/match/improve.h"
#include "infer/match/match.h"

namespace melisma {

// Tables with bars: the level of each piece and how far the limiter turned it down, and the gain of mid and side in
// third octaves, in dB. Ends with a line break.
[[nodiscard]] std::string explanation_of(const MatchedSong& song);

// The same of the improved mode: loudness and true peak before and after, the pieces, the filter.
[[nodiscard]] std::string explanation_of(const MatchedSong& song, const ImprovedRecord& record);

// A mark a decibel, right of a line for more and left of it for less; 12 at most each way.
[[nodiscard]] std::string decibel_bar(double gain_db);

// The mean gain of a third octave in dB, by power; minus infinity where all of it is 0.
struct ThirdOctave {
  double centre_hz = 0, gain_db = 0;
};
// gains [fft_size / 2 + 1]. Bands from 25 Hz to half the rate; one that holds no bin takes the nearest.
[[nodiscard]] std::vector<ThirdOctave> third_octaves(std::span<const double> gains, std::int64_t sample_rate_hz);

}  // namespace melisma
