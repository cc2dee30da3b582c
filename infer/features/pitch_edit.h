// Editing a pitch curve: transposed, tuned to a scale, smoothed, filled, its octave errors repaired. What
// `melisma pitch` and `melisma convert` do to a curve, in this order. Curves are Hz a frame, 0 = unvoiced. Torch-free.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "infer/features/scale.h"

namespace melisma {

struct PitchEdits {
  bool repair_octaves = false;     // frames that are an octave off brought back
  std::int64_t smooth_frames = 1;  // width of a median over frames, odd; 1 = none, 3 as RVC's filter radius
  double proposed_hz = 0;  // moved by the semitones that bring it nearest to this voice (RVC: 155 low, 255 high)
  double transpose_semitones = 0;  // moved by this, and by what is proposed
  std::string autotune;            // a scale that notes are pulled to; empty = off
  double autotune_strength = 1;    // 0 ... 1: how far
  bool fill = false;               // unvoiced gaps filled by straight lines

  // Throws Error(usage) for what is out of range or no scale.
  void check() const;
};

struct EditedPitch {
  std::vector<float> f0_hz;
  double semitones = 0;              // transposed and proposed
  std::int64_t repaired_frames = 0;  // moved by an octave
};
[[nodiscard]] EditedPitch edit_pitch(std::span<const float> f0_hz, const PitchEdits& edits);

// Every voiced frame pulled towards the nearest note of the scale: hz + strength (note - hz).
[[nodiscard]] std::vector<float> autotune_pitch(std::span<const float> f0_hz, const Scale& scale, double strength);

// Median over `frames` (odd) frames around each, beyond the ends unvoiced ones (scipy.signal.medfilt, as the RVC tools
// smooth): unvoiced frames count as 0 Hz, so that single voiced ones vanish and single gaps close.
[[nodiscard]] std::vector<float> median_pitch(std::span<const float> f0_hz, std::int64_t frames);

// Stretches of up to 0.4 s that an octave jump leads into and another out of (0.2 s where voice begins or ends) moved
// back by that octave. Longer ones are taken for sung; unvoiced gaps of more than 50 ms separate. Frames of 10 ms.
[[nodiscard]] std::vector<float> repair_octaves(std::span<const float> f0_hz);

// Neighbouring voiced frames at 10 to 14 semitones from each other.
[[nodiscard]] std::int64_t count_octave_jumps(std::span<const float> f0_hz);

// Semitones, a whole number from -12 to 12, that bring the median pitch nearest to `voice_hz`: 12 log2(voice / median),
// the median taken over the curve with its gaps filled, as Applio's "proposed pitch". 0 for fewer than two voiced
// frames.
[[nodiscard]] int proposed_semitones(std::span<const float> f0_hz, double voice_hz);

}  // namespace melisma
