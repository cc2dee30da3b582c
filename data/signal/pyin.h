// Probabilistic YIN (Mauch and Dixon 2014), decision for decision as librosa.pyin 0.11 with its default parameters.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/signal/yin.h"

namespace melisma {

struct PyinFrame {
  float f0_hz;               // centre of the decoded bin, ten a semitone from fmin on; 0 = unvoiced
  float refined_hz;          // the decoded candidate at the peak of its correlation, unrounded; 0 = unvoiced
  float voiced_probability;  // of the observation, before decoding
};

// n_frames(samples) frames of a mono wave. config.threshold is not used: all thresholds are weighed. Frames are shared
// out to OpenMP threads (0: as many as it gives) and the decoding runs on one; the result does not depend on how many.
[[nodiscard]] std::vector<PyinFrame> pyin(std::span<const float> wave, const YinConfig& config, int threads = 0);

}  // namespace melisma
