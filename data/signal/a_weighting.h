// A-weighting: the filter that hears roughly as we do at low levels (IEC 61672), as a short FIR.
#pragma once
#include <cstdint>
#include <vector>

namespace melisma {

// |H| of the A-weighting filter brought to `sample_rate_hz` by the bilinear transform, at a frequency below Nyquist.
[[nodiscard]] double a_weighting_gain(double frequency_hz, int64_t sample_rate_hz);

// n_taps (odd) symmetric taps that come closest to it by least squares over 256 bands from 0 Hz to Nyquist, as
// auraloss's perceptual weighting (scipy.signal.firls on 512 points).
[[nodiscard]] std::vector<double> a_weighting_taps(int64_t sample_rate_hz, int64_t n_taps = 101);

}  // namespace melisma
