// Pitch by autocorrelation, corrected for the window, and the cheapest path through its peaks (Boersma 1993, "Accurate
// short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled sound"), with the
// conventions of Praat's "To Pitch (ac)".
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace melisma {

struct PraatPitchConfig {
  std::int64_t sample_rate_hz = 16000;
  double fmin_hz = 50;
  double fmax_hz = 1100;
  double time_step_s = 0.01;
  bool on_steps = false;              // frames stand on multiples of the step instead of around the wave's middle
  std::int64_t most_candidates = 15;  // peaks kept a frame; at least fmax/fmin
  double silence_threshold = 0.03;    // frames below this share of the loudest sample are likely unvoiced
  double voicing_threshold = 0.6;  // strength of the unvoiced candidate; Praat's own default is 0.45, RVC asks for this
  double octave_cost = 0.01;       // by which a peak an octave lower is weaker
  double octave_jump_cost = 0.35;  // of a jump of one octave in 10 ms
  double voicing_change_cost = 0.14;  // of a change between voiced and unvoiced in 10 ms

  // Throws Error(config) unless 0 < fmin < fmax <= rate/2 and the step is positive.
  void check() const;
};

struct PraatPitch {
  double first_s = 0, step_s = 0;  // frame t is centred on first_s + t * step_s
  std::vector<double> f0_hz;       // 0 = unvoiced
};

// As many frames of three longest periods as fit into a mono wave, placed around its middle (as Praat does) or on
// multiples of the step; none in a shorter one.
// Samples that are no numbers are silence. Frames are shared out to OpenMP threads (0: as many as it gives); the result
// does not depend on how many.
[[nodiscard]] PraatPitch praat_pitch(std::span<const float> wave, const PraatPitchConfig& config, int threads = 0);

}  // namespace melisma
