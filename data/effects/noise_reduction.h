// Steady noise taken out of a recording by spectral gating.
#pragma once
#include <cstdint>
#include <span>

namespace melisma {

// In place. The noise's spectrum is found in the recording itself: of each bin the level that a fifth of the frames
// stay below (64 ms frames; noise of any level has a known spread around it), then the median over neighbouring bins,
// so that a sustained tone is not taken for noise. What is not louder than the noise is turned down: by 1 - strength,
// strength in 0 ... 1; 1 = until nothing is left of it. In two passes: memory does not grow with the signal.
void reduce_noise(std::span<float> samples, std::int64_t sample_rate_hz, double strength);

}  // namespace melisma
