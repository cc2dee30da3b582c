// What a stereo pair is like beside its sound: width, balance, correlation, level and crest. Torch-free.
#pragma once
#include <span>

namespace melisma {

struct StereoImage {
  double width = 0;        // energy of L - R over that of L + R: 0 mono, 1 unrelated channels, above that out of phase
  double mid_side_db = 0;  // the same in dB
  double imbalance = 0;    // (energy of R - energy of L) / (both): -1 left only ... 1 right only
  double correlation = 0;  // sum L R over the root of the energies, as phase meters show it
};

// Channels of equal length (Error(internal) otherwise). NaN where the measure has no value: silence, an empty mid.
[[nodiscard]] StereoImage stereo_image(std::span<const double> left, std::span<const double> right);

[[nodiscard]] double rms(std::span<const double> samples);
// Peak over RMS in dB; NaN for silence.
[[nodiscard]] double crest_db(std::span<const double> samples);

}  // namespace melisma
