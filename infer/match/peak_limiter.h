// The improved mode's limiter, offline: no true peak above a ceiling, whatever the level.
#pragma once
#include <cstdint>
#include <vector>

#include "infer/match/match_config.h"
#include "infer/match/match_limiter.h"
#include "infer/match/stereo.h"

namespace melisma {

// The largest |value| around each frame, of both channels, between the samples too (four-fold oversampled).
[[nodiscard]] std::vector<float> peak_envelope(const StereoSignal& signal);

// The gain under which envelope * level * gain stays at or below `ceiling`: turned down look_ahead_ms before a peak,
// without a step, and up again by release_ms. Empty where there is nothing to do.
[[nodiscard]] LimiterGain gain_below(const std::vector<float>& envelope, double level, double ceiling,
                                     std::int64_t sample_rate_hz, const ImprovedConfig& how);

}  // namespace melisma
