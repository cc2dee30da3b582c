// The K-weighting of ITU-R BS.1770, and the energy it leaves in sliding windows.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/audio/iir.h"

namespace melisma {

// A shelf (head) and a high-pass (outer ear) at any rate: the analogue filters behind the standard's 48 kHz
// coefficients, as libebur128 derives them.
[[nodiscard]] Sections k_weighting(std::int64_t sample_rate_hz);

// The largest loudness of a stream's windows, one every 10 ms, where the window is filled. The energy of 10 ms is
// summed once, so that reading at every step costs little more than the filter.
class LoudestWindows {
 public:
  // channel_weights: 1, or 1.41 for surround channels.
  LoudestWindows(std::int64_t sample_rate_hz, std::vector<double> channel_weights);
  // Interleaved samples, any number of whole frames.
  void add(std::span<const double> interleaved);

  // Of 400 ms and of 3 s, in LUFS; minus infinity before one is filled, and in silence.
  [[nodiscard]] double momentary_lufs() const { return loudness_of(loudest_momentary_); }
  [[nodiscard]] double short_term_lufs() const { return loudness_of(loudest_short_term_); }

 private:
  static constexpr std::int64_t kStepsASecond = 100, kMomentarySteps = 40, kShortTermSteps = 300;
  void end_step();
  [[nodiscard]] double mean_energy(std::int64_t steps) const;  // of the last `steps` steps
  [[nodiscard]] static double loudness_of(double energy);
  // The frame at which step number `step` begins.
  [[nodiscard]] std::int64_t begin_of(std::int64_t step) const { return step * sample_rate_hz_ / kStepsASecond; }

  std::int64_t sample_rate_hz_;
  std::vector<double> weights_;
  Sections filter_;
  std::vector<SectionState> states_;  // one a channel
  std::vector<double> steps_;         // sums of the last kShortTermSteps steps, a ring
  std::int64_t n_frames_ = 0, n_steps_ = 0;
  double step_energy_ = 0;
  double loudest_momentary_ = 0, loudest_short_term_ = 0;
  std::vector<double> channel_;
};

}  // namespace melisma
