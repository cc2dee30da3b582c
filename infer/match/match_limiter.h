// The limiter at the end of matching, offline: its gain at a moment comes from the peaks before and after it.
#pragma once
#include <cstdint>
#include <vector>

#include "infer/match/match_config.h"
#include "infer/match/stereo.h"

namespace melisma {

// What goes into the gain, sample by sample: hard = 1 - 1/r, r = peak of both channels over the threshold, at least 1;
// slid = its largest in a centred window; attack = slid through a filter of no phase; held = slid's largest in a window
// that ends now; hold and release = held through two low-passes, one after the other.
struct LimiterStages {
  std::vector<double> hard, slid, attack, held, hold, release;
};

struct LimiterGain {
  std::vector<double> gain;  // [n]; empty where the limiter has nothing to do
  std::int64_t n_over = 0;   // samples above the threshold
};

// gain = 1 - max(hard, attack, hold, release) for `signal`, whose largest |sample| is `peak`, times `level`. Nothing to
// do: no peak above the threshold by more than 1e-5 of it. `stages` are kept if asked for: six numbers a sample. The
// signal must be longer than 6 frames.
[[nodiscard]] LimiterGain limiter_gain(const StereoSignal& signal, double peak, double level, const MatchConfig& config,
                                       LimiterStages* stages = nullptr);

}  // namespace melisma
