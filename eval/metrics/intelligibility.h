// Short-time objective intelligibility: how much of the speech is still understood.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace melisma {

struct Intelligibility {
  double stoi = 0;   // Taal et al. 2011: 1 = the reference's own envelopes
  double estoi = 0;  // Jensen and Taal 2016: also counts spectral modulations
};

// Mono waves of equal length (the longer is cut), resampled to 10 kHz where they are not; frames 40 dB below the
// reference's loudest are left out. NaN for both where fewer than 30 frames (384 ms) remain. As pystoi.
[[nodiscard]] Intelligibility measure_intelligibility(std::span<const double> reference,
                                                      std::span<const double> estimate, int64_t sample_rate_hz);

// Resampling by up/down through the windowed sinc of Octave's `resample`, which the published STOI numbers rest on.
[[nodiscard]] std::vector<double> resample_as_octave(std::span<const double> wave, int64_t up, int64_t down);

// ceil(n * up / down) samples: `taps` (odd count, centred) filter the wave at the rate n * up.
[[nodiscard]] std::vector<double> resample_polyphase(std::span<const double> wave, int64_t up, int64_t down,
                                                     std::span<const double> taps);
// A Kaiser window of 2 * half_length + 1 points.
[[nodiscard]] std::vector<double> kaiser_window(int64_t half_length, double beta);

}  // namespace melisma
