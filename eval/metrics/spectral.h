// Spectral distances of two waves: STFT losses as auraloss makes them, log-spectral distance, log-mel distance.
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

// estimate X, reference Y [..., N] -> scalar, in their dtype; differentiable.
[[nodiscard]] at::Tensor stft_loss(const at::Tensor& estimate, const at::Tensor& reference,
                                   const StftLossConfig& config);

// The mean of several; the default is auraloss.freq.MultiResolutionSTFTLoss (1024/120/600, 2048/240/1200, 512/50/240).
[[nodiscard]] std::vector<StftLossConfig> multi_resolution_configs();
// auraloss's setting for music: 1024/256, 2048/512, 8192/2048, 128 mel bands, A-weighted.
[[nodiscard]] std::vector<StftLossConfig> music_stft_configs(int64_t sample_rate_hz);
[[nodiscard]] at::Tensor multi_resolution_stft_loss(const at::Tensor& estimate, const at::Tensor& reference,
                                                    const std::vector<StftLossConfig>& configs);

// Mean of the losses of L + R and L - R of stereo [..., 2, N]: blind to which channel is left.
[[nodiscard]] at::Tensor sum_difference_stft_loss(const at::Tensor& estimate, const at::Tensor& reference,
                                                  const std::vector<StftLossConfig>& configs);

// Root mean square over bins of the difference of 20 log10 magnitudes, mean over frames, in dB.
// estimate, reference [N]; FFT 2048, hop 512, power floor 1e-10.
[[nodiscard]] double log_spectral_distance_db(const at::Tensor& estimate, const at::Tensor& reference);

// Mean |ln mel(estimate) - ln mel(reference)| over frames and bands, in nepers (1 Np = 8.69 dB). 80 Slaney bands from 0
// Hz to Nyquist, Hann window of the smallest power of two that lasts 40 ms, hop 10 ms, (window - hop)/2 mirrored
// samples at each end, magnitudes floored at 1e-5. estimate, reference [N] of more than half a window.
[[nodiscard]] double log_mel_distance(const at::Tensor& estimate, const at::Tensor& reference, int64_t sample_rate_hz);

}  // namespace melisma
