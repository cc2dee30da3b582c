// Root-mean-square level of overlapping frames, computed while the signal streams by.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace melisma {

// Frame i covers samples [i*hop - window/2, i*hop - window/2 + window) of the signal, zeros outside
// (librosa.feature.rms with centre padding). Memory: one double a frame. Results do not depend on how the signal is cut
// into blocks.
class FrameEnergy {
 public:
  // Throws Error(config) unless both are at least 1.
  FrameEnergy(std::int64_t window_samples, std::int64_t hop_samples);
  void push(std::span<const float> block);
  // The frames that the samples so far determine, in order; as finish() will give them.
  [[nodiscard]] std::span<const double> frames_so_far() const { return rms_; }
  // Ends the signal and gives the RMS of every frame, 1 + samples / hop of them (even windows). Nothing may be pushed
  // afterwards.
  [[nodiscard]] std::vector<double> finish();
  [[nodiscard]] std::int64_t n_samples() const { return n_samples_; }

 private:
  void end_cell(double energy);
  std::int64_t window_, hop_;
  std::int64_t cell_;  // samples of the grid on which every frame begins and ends
  std::int64_t cells_a_frame_, cells_a_hop_;
  std::vector<float> pending_;  // samples of a cell that is not full yet
  std::vector<double> recent_;  // energies of the last cells_a_frame_ cells, a ring
  std::int64_t n_cells_ = 0, n_samples_ = 0;
  std::vector<double> rms_;
};

// The same of a whole signal.
[[nodiscard]] std::vector<double> frame_rms(std::span<const float> samples, std::int64_t window_samples,
                                            std::int64_t hop_samples);

}  // namespace melisma
