// Second-order equalizer sections by the formulas of R. Bristow-Johnson's "Cookbook formulae for audio EQ biquad filter
// coefficients" (W3C Audio EQ Cookbook).
#pragma once
#include "data/audio/iir.h"

namespace melisma {

// All frequencies in Hz below half the sample rate; q > 0. Gains are reached at the centre, and far below or above the
// corner of a shelf (half of the dB at the corner).
[[nodiscard]] Section peak_section(double frequency_hz, double q, double gain_db, double sample_rate_hz);
[[nodiscard]] Section low_shelf_section(double frequency_hz, double q, double gain_db, double sample_rate_hz);
[[nodiscard]] Section high_shelf_section(double frequency_hz, double q, double gain_db, double sample_rate_hz);
// At the corner the gain is q: -3 dB for q = 1/sqrt(2), where they are Butterworth filters of order 2.
[[nodiscard]] Section low_pass_section(double frequency_hz, double q, double sample_rate_hz);
[[nodiscard]] Section high_pass_section(double frequency_hz, double q, double sample_rate_hz);

}  // namespace melisma
