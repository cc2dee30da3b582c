// Speech-like sound for tests: one synthetic voice that says random syllables, a different sentence a seed.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/support/golden.h"

namespace melisma::testing {

// Mono samples in [-1, 1]: vowels of a fixed vocal tract with random pitch contour, length and formants, some pauses.
inline std::vector<float> pseudo_speech(std::uint32_t seed, double seconds, std::int64_t rate_hz) {
  Lcg lcg(seed * 2654435761U + 12345U);
  const auto random = [&](double low, double high) { return low + (high - low) * (lcg.next() + 1) / 2; };
  const auto n = static_cast<std::size_t>(seconds * static_cast<double>(rate_hz));
  std::vector<float> wave(n, 0.0F);
  double phase = 0;
  for (std::size_t at = 0; at < n;) {
    const auto length = static_cast<std::size_t>(random(0.09, 0.28) * static_cast<double>(rate_hz));
    const bool is_pause = random(0, 1) < 0.15;
    const double f0 = random(95, 165), glide = random(-0.3, 0.3);
    const double formants[] = {random(280, 800), random(850, 2300), random(2400, 3000)};
    for (std::size_t k = 0; k < length && at + k < n && !is_pause; ++k) {
      const double t = static_cast<double>(k) / static_cast<double>(length);
      const double hz = f0 * (1 + glide * t);
      phase += 2 * M_PI * hz / static_cast<double>(rate_hz);
      double value = 0;
      for (int h = 1; h * hz < 3800; ++h) {
        double gain = 0.02;
        for (const double formant : formants) gain += std::exp(-std::pow((h * hz - formant) / 120, 2));
        value += gain * std::sin(h * phase) / std::sqrt(static_cast<double>(h));
      }
      wave[at + k] = static_cast<float>(0.12 * value * std::sin(M_PI * t));
    }
    at += length;
  }
  return wave;
}

}  // namespace melisma::testing
