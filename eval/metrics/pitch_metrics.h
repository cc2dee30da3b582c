// How far two pitch contours are apart: errors in Hz and cents, voicing errors, melody accuracies.
#pragma once
#include <cstdint>
#include <span>

namespace melisma {

// Pitch errors are over the frames voiced in both contours (0 Hz = unvoiced); NaN where there is none.
struct PitchComparison {
  int64_t n_frames = 0, n_voiced_both = 0;
  double rmse_hz = 0, rmse_cents = 0;  // cents = 1200 log2(estimate / reference)
  double mean_abs_cents = 0, bias_cents = 0;
  double pearson = 0, pearson_log = 0;  // correlation of Hz, and of log Hz
  double vuv_error_percent = 0;         // frames voiced in one contour only, of all frames
  int64_t voiced_to_unvoiced = 0, unvoiced_to_voiced = 0;
  double gross_pitch_error_20 = 0;  // share of frames voiced in both that are more than 20 % off
  double f0_frame_error = 0;        // gross errors and voicing errors, share of all frames
  // As mir_eval.melody, tolerance 50 cents; NaN where the reference has no such frame.
  double voicing_recall = 0, voicing_false_alarm = 0;
  double raw_pitch_accuracy = 0, raw_chroma_accuracy = 0, overall_accuracy = 0;
};

// Contours on the same time grid; the longer one is cut.
[[nodiscard]] PitchComparison compare_pitch(std::span<const double> reference_hz, std::span<const double> estimate_hz);

}  // namespace melisma
