// Spectrograms that other programs saved as .npy, librosa's way, as tracks of songs.
#pragma once
#include <filesystem>
#include <span>
#include <vector>

#include "data/sets/dataset.h"
#include "train/prepare/part.h"

namespace melisma {

// The array [bands, frames] of a .npy file (leading dimensions of 1 are dropped), C or Fortran order, integers or
// floats of any width, as rows [frames][bands]. Throws Error(data): unreadable, complex, or of another shape.
[[nodiscard]] FeatureMatrix read_spectrogram(const std::filesystem::path& path);

// What became of one file, as a part without clips; its sound_hash is that of the values.
struct SpectrogramTrack {
  Part part;
  std::int64_t n_frames = 0, n_bands = 0;
};
// What cannot be used becomes a fate (unreadable, non_finite, too_short), never an exception.
[[nodiscard]] SpectrogramTrack assess_spectrogram(const std::filesystem::path& path);

// All of one dataset have as many bands: those that differ from the most frequent number (of equally frequent ones the
// smaller) become unreadable, and say so. Returns that number.
std::int64_t agree_on_bands(std::span<SpectrogramTrack> tracks);

}  // namespace melisma
