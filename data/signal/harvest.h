// Harvest: pitch from many narrow bands whose events agree, refined by instantaneous frequency (Morise 2017,
// "Harvest: A high-performance fundamental frequency estimator from speech signals"), with WORLD's constants.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace melisma {

struct HarvestConfig {
  std::int64_t sample_rate_hz = 16000;
  double fmin_hz = 50;
  double fmax_hz = 1100;
  double frame_period_ms = 10;  // frame t lies at t * period; the method itself runs at 1 ms
  // A recording longer than this and two margins of 4 s is analysed in pieces of this many seconds with such margins,
  // so that memory stays bounded.
  double piece_s = 60;

  // Throws Error(config) unless 0 < fmin < fmax <= rate/2 and the rate is 8000 Hz or more.
  void check() const;
};

// Mono wave -> f0 in Hz of floor(seconds / period) + 1 frames, 0 where unvoiced; samples that are no numbers are
// silence. Work is shared out to OpenMP threads (0: as many as it gives); the result does not depend on how many.
[[nodiscard]] std::vector<double> harvest(std::span<const float> wave, const HarvestConfig& config, int threads = 0);

}  // namespace melisma
