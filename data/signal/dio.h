// DIO: pitch from a few low-passed copies of a signal, the steadiest of which is the fundamental (Morise, Kawahara and
// Katayose 2009, "Fast and reliable F0 estimation method based on the period extraction of vocal fold vibration of
// singing voice and speech"), with WORLD's constants. Fast and rough: StoneMask makes it exact.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace melisma {

struct DioConfig {
  std::int64_t sample_rate_hz = 16000;
  double fmin_hz = 50;
  double fmax_hz = 1100;
  double frame_period_ms = 10;  // frame t lies at t * period

  // Throws Error(config) unless 0 < fmin < fmax <= rate/2.
  void check() const;
};

// Mono wave -> f0 in Hz of floor(seconds / period) + 1 frames, 0 where unvoiced; samples that are no numbers are
// silence. Work is shared out to OpenMP threads (0: as many as it gives); the result does not depend on how many.
[[nodiscard]] std::vector<double> dio(std::span<const float> wave, const DioConfig& config, int threads = 0);

}  // namespace melisma
