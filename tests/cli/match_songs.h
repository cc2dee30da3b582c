// Recordings to match.
#pragma once
#include <cstdint>
#include <vector>

#include "data/audio/waveform.h"
#include "tests/support/golden.h"

namespace melisma::testing {

inline constexpr std::int64_t kSongRate = 44100;

// Noise through a low-pass of one pole; the channels share most of it.
inline Waveform noise(double seconds, float amplitude, float pole, std::uint32_t seed, std::int64_t rate_hz = kSongRate,
                      std::int64_t n_channels = 2) {
  const auto n = static_cast<std::size_t>(seconds * static_cast<double>(rate_hz));
  Waveform wave{std::vector<float>(n * static_cast<std::size_t>(n_channels)), n_channels, rate_hz};
  for (std::int64_t channel = 0; channel < n_channels; ++channel) {
    Lcg shared(seed), own(seed + 1 + static_cast<std::uint32_t>(channel));
    float state = 0;
    for (auto& sample : wave.channel(channel)) {
      state = pole * state + (1 - pole) * static_cast<float>(shared.next() + 0.3 * own.next());
      sample = amplitude * state;
    }
  }
  return wave;
}

}  // namespace melisma::testing
