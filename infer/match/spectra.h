// Mean magnitude spectra of the loud pieces of a recording: what matching knows of its sound.
#pragma once
#include <cstdint>
#include <vector>

#include "infer/match/levels.h"

namespace melisma {

struct MidSideSpectra {
  std::vector<double> mid, side;  // [fft_size / 2 + 1] mean of |FFT| / fft_size over frames side by side
  std::int64_t n_frames = 0;      // how many frames that were
};

// mid = (left + right) / 2, side = (left - right) / 2; frames do not cross pieces. On OpenMP's threads; the result does
// not depend on how many. Throws Error(data) if a piece is shorter than a frame.
[[nodiscard]] MidSideSpectra loud_spectra(const StereoSignal& signal, const PieceSizes& sizes,
                                          const std::vector<std::int64_t>& pieces, std::int64_t fft_size);

}  // namespace melisma
