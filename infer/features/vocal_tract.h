// How long a speaker's vocal tract is, from the formants that depend on it least for what is said.
#pragma once
#include <span>

namespace melisma {

// Frequencies of this recording relative to those of an average adult: above 1 for short tracts (many women, children),
// below 1 for long ones; 0.85 ... 1.25. From the medians of the third and fourth formant (linear prediction of order 12
// on the spectrum below 5 kHz, frames within 25 dB of the loudest) against 2550 Hz and 3450 Hz; drawn towards 1 where
// few frames have both, and exactly 1 where none has. wave: mono, 16 kHz.
[[nodiscard]] double vocal_tract_warp(std::span<const float> wave_16k, int threads = 0);

}  // namespace melisma
