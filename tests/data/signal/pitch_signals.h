// Signals that pitch methods are tried on, at 16 kHz.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <vector>

#include "tests/support/golden.h"

namespace melisma::testing {

inline constexpr double kPitchRateHz = 16000;

inline double cents_between(double a_hz, double b_hz) { return 1200 * std::abs(std::log2(a_hz / b_hz)); }

// A tone with a few harmonics, silent outside [from, to).
inline std::vector<float> tone(double hz, std::int64_t n, std::int64_t from = 0, std::int64_t to = INT64_MAX) {
  std::vector<float> wave(static_cast<std::size_t>(n));
  for (auto i = from; i < std::min(n, to); ++i) {
    const auto phase = 2 * std::numbers::pi * hz * static_cast<double>(i) / kPitchRateHz;
    wave[static_cast<std::size_t>(i)] =
        static_cast<float>(0.3 * std::sin(phase) + 0.1 * std::sin(2 * phase) + 0.05 * std::sin(3 * phase));
  }
  return wave;
}

// NAME.audio_i16 of a fixture, in [-1, 1].
inline std::vector<float> golden_audio(const GoldenFile& golden, const std::string& name) {
  std::vector<float> wave;
  for (const auto value : golden.at(name + ".audio_i16").values) wave.push_back(static_cast<float>(value / 32768));
  return wave;
}

}  // namespace melisma::testing
