// The matching filter: from a smoothed ratio of spectra to taps, and through it a stereo signal of any length.
#pragma once
#include <span>
#include <vector>

#include "infer/match/stereo.h"

namespace melisma {

// gains [n / 2 + 1] -> n taps of no phase but a delay of n / 2, under a symmetric Hann window.
[[nodiscard]] std::vector<double> linear_phase_taps(std::span<const double> gains);

// Mid through `mid_taps`, side through `side_taps` (equally many, an even number), the delay taken out, in place: the
// middle of the full convolution (scipy.signal.fftconvolve, mode "same"). Overlap-save in blocks; the result does not
// depend on the number of threads.
void convolve_mid_side(StereoSignal& signal, std::span<const double> mid_taps, std::span<const double> side_taps);

}  // namespace melisma
