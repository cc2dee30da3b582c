// StoneMask: a pitch contour made exact by the instantaneous frequencies of the harmonics (the refinement that RVC runs
// behind WORLD's estimators).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace melisma {

// f0 in Hz of frames at t * frame_period_ms of a mono wave, 0 = unvoiced -> the same with each value moved to where the
// first six harmonics are, by 20 % at most; below 40 Hz and above rate/12 unvoiced. Frames are shared out to OpenMP
// threads (0: as many as it gives); the result does not depend on how many.
[[nodiscard]] std::vector<double> stonemask(std::span<const float> wave, std::int64_t sample_rate_hz,
                                            std::span<const double> f0_hz, double frame_period_ms, int threads = 0);

}  // namespace melisma
