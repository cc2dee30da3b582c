// Losses of spectral magnitudes at one or several resolutions, as auraloss makes them. Differentiable.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace melisma {

struct StftLossConfig {
  int64_t n_fft = 1024, hop = 256, window = 1024;  // Hann, centred, mirrored ends
  double convergence = 1;          // weight of ||Y - X|| / ||Y||, one Frobenius norm over the whole batch
  double log_magnitude = 1;        // weight of mean |ln Y - ln X|
  double magnitude = 0;            // weight of mean |Y - X|
  bool squared = false;            // the two means of squares instead of absolute values
  double floor = 1e-8;             // least power of a bin
  int64_t n_mels = 0;              // > 0: magnitudes are weighed into so many Slaney bands first
  int64_t sample_rate_hz = 44100;  // of the bands and of the weighting
  bool a_weighted = false;         // both waves pass a 101-tap A-weighting filter first (a_weighting.h)
};

// The reference Y of one or several losses, analysed once; estimates are then compared with it at the cost of their own
// spectra. In float on the CPU, losses of plain magnitudes come with their gradient in two passes over the spectra of
// the estimate (no second derivative); everything else is done by ATen. Gradients reach the reference only where it
// asked for some.
class StftTarget {
 public:
  // reference [..., N], float or double. Error(internal) if no resolution is given, Error(data) if N is too short.
  StftTarget(const at::Tensor& reference, std::vector<StftLossConfig> configs);

  // estimate X [..., N] of the reference's shape and type -> scalar: the mean over the resolutions.
  [[nodiscard]] at::Tensor loss(const at::Tensor& estimate) const;

 private:
  struct Resolution {
    StftLossConfig config;
    bool is_fused = false;
    at::Tensor magnitudes;  // fused: [rows, frames, bins]; otherwise [..., bins or bands, frames]
  };
  std::vector<int64_t> shape_;
  std::vector<Resolution> resolutions_;
};

// estimate X, reference Y [..., N] -> scalar, in their dtype.
[[nodiscard]] at::Tensor stft_loss(const at::Tensor& estimate, const at::Tensor& reference,
                                   const StftLossConfig& config);

// The mean of several; the default is auraloss.freq.MultiResolutionSTFTLoss (1024/120/600, 2048/240/1200, 512/50/240).
[[nodiscard]] std::vector<StftLossConfig> multi_resolution_configs();
// auraloss's setting for music: 1024/256, 2048/512, 8192/2048, 128 mel bands, A-weighted.
[[nodiscard]] std::vector<StftLossConfig> music_stft_configs(int64_t sample_rate_hz);
// As mixing models are trained: 512, 2048, 8192 with half of it as hop, log and linear magnitudes alike.
[[nodiscard]] std::vector<StftLossConfig> mixing_stft_configs();
[[nodiscard]] at::Tensor multi_resolution_stft_loss(const at::Tensor& estimate, const at::Tensor& reference,
                                                    const std::vector<StftLossConfig>& configs);

// L + R and L - R of stereo [..., 2, N], [..., 2, N].
[[nodiscard]] at::Tensor sum_and_difference(const at::Tensor& stereo);

// Mean of the losses of L + R and L - R of stereo [..., 2, N]: blind to which channel is left.
[[nodiscard]] at::Tensor sum_difference_stft_loss(const at::Tensor& estimate, const at::Tensor& reference,
                                                  const std::vector<StftLossConfig>& configs);

}  // namespace melisma
