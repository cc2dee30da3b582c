// Levels of a recording piece by piece, and which pieces are the loud ones that matching listens to.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "infer/match/match_config.h"
#include "infer/match/stereo.h"

namespace melisma {

// How a recording is cut: equal pieces, none longer than max_piece_s; what is left at the end is not measured.
struct PieceSizes {
  std::int64_t divisions = 0;
  std::int64_t piece = 0;  // frames
};
[[nodiscard]] PieceSizes piece_sizes(std::int64_t n_frames, const MatchConfig& config);

// The root mean square of the mid channel of every piece, and of the loud ones: those not below `average`, the root
// mean square of all.
struct PieceLevels {
  std::vector<double> rmses;
  double average = 0;
  std::vector<std::int64_t> loudest;
  double match_rms = 0;
};
[[nodiscard]] PieceLevels levels_of(std::vector<double> rmses);

// The same with every level times `gain`.
[[nodiscard]] PieceLevels scaled(PieceLevels levels, double gain);

// One look at a stereo signal. mid = (left + right) / 2.
class PieceMeter {
 public:
  // Measures all of the signal, on OpenMP's threads; the result does not depend on how many.
  PieceMeter(const StereoSignal& signal, const MatchConfig& config);
  [[nodiscard]] const PieceSizes& sizes() const { return sizes_; }
  // Largest |sample| of both channels.
  [[nodiscard]] double peak() const { return peak_; }
  // Levels of the mid channel after a gain and, `is_clipped`, cut at full scale.
  [[nodiscard]] PieceLevels levels(double gain, bool is_clipped) const;

 private:
  struct Piece {
    double energy = 0, mid_peak = 0, peak = 0;
  };
  [[nodiscard]] double clipped_energy(std::int64_t piece, double gain) const;
  const StereoSignal& signal_;
  PieceSizes sizes_;
  std::vector<Piece> pieces_;
  double peak_ = 0;
};

}  // namespace melisma
