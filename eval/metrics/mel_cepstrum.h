// Mel-cepstra (the spectral envelope of speech), dynamic time warping, and mel-cepstral distortion.
#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace melisma {

// Rows of coefficients, row-major [frames][width].
struct Cepstra {
  std::vector<double> values;
  int64_t n_frames = 0, width = 0;
  [[nodiscard]] std::span<const double> frame(int64_t t) const {
    return std::span(values).subspan(static_cast<std::size_t>(t * width), static_cast<std::size_t>(width));
  }
};

// How mel_cepstra analyses; the defaults are those of speech at 16 kHz.
struct MelCepstrumConfig {
  int64_t order = 24;   // coefficients 0 ... order
  double alpha = .42;   // warping; .42 at 16 kHz is close to the mel scale
  int64_t frame = 512;  // samples, a power of two; Blackman window of unit power
  int64_t hop = 160;
  double floor = 1e-8;  // added to the periodogram
};

// The mel-cepstrum that maximises the unbiased likelihood of each frame's periodogram (Tokuda et al. 1994), as SPTK's
// `mcep`, solved to convergence by Newton steps. Frame t is centred on sample t*hop, zeros stand outside the wave:
// samples/hop + 1 frames.
[[nodiscard]] Cepstra mel_cepstra(std::span<const double> wave, const MelCepstrumConfig& config = {});

// The cheapest monotone path between two sequences under the Euclidean distance of columns [first_column, width): steps
// (1,1), (1,0), (0,1), all of weight 1; ties prefer the diagonal, then the reference's step. Exact, no band.
struct WarpingPath {
  double cost = 0;
  std::vector<std::pair<int64_t, int64_t>> steps;  // (reference frame, estimate frame), from (0, 0) to the ends
};
[[nodiscard]] WarpingPath warp(const Cepstra& reference, const Cepstra& estimate, int64_t first_column);

// 10 sqrt(2) / ln(10) times the mean Euclidean distance of coefficients first_column ... order, in dB; frame by frame
// (the longer is cut) or along the warping path. NaN where either has no frame.
[[nodiscard]] double mel_cepstral_distortion_db(const Cepstra& reference, const Cepstra& estimate, bool warped,
                                                int64_t first_column = 1);

}  // namespace melisma
