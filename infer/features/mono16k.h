// What every feature is made of: one channel at 16 kHz.
#pragma once
#include <cstdint>
#include <vector>

#include "data/audio/waveform.h"

namespace melisma {

// Channels averaged, resampled to kFeatureRateHz.
[[nodiscard]] std::vector<float> mono_at_16k(const Waveform& wave);

// Frames of 10 ms in n_samples at a rate: floor(n * 100 / rate).
[[nodiscard]] constexpr std::int64_t feature_frames(std::int64_t n_samples, std::int64_t sample_rate_hz) {
  return n_samples * 100 / sample_rate_hz;
}

}  // namespace melisma
