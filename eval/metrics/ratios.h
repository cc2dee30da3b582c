// Signal-to-error ratios in dB: SNR, SDR, scale-invariant SDR, and SDR by frames.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace melisma {

// All take equally many samples of reference and estimate (Error(internal) otherwise), one channel or channels one
// after the other, and sum in double. `eps` is added to numerator and denominator: 0 gives inf for a perfect estimate,
// -inf or NaN for a silent reference; 1e-7 is demucs' and the SDX challenges', 1e-8 MSST's. 10 log10(sum s^2 / sum (s -
// e)^2). SNR, "new SDR" and uSDR are all this.
[[nodiscard]] double sdr_db(std::span<const double> reference, std::span<const double> estimate, double eps = 0);

// The same after the reference is scaled to fit the estimate best (Le Roux et al. 2019); zero_mean subtracts both
// means.
[[nodiscard]] double si_sdr_db(std::span<const double> reference, std::span<const double> estimate,
                               bool zero_mean = false);

// Scale-dependent SDR: the reference's best fit against the whole error, so that a wrong level costs too (ibid.).
[[nodiscard]] double sd_sdr_db(std::span<const double> reference, std::span<const double> estimate,
                               bool zero_mean = false);

// SDR of each whole frame of `frame` samples per channel (planar channels), NaN where the reference is silent: what
// museval v4 calls SDR, which its 512-tap filters cancel out of.
[[nodiscard]] std::vector<double> frame_sdr_db(std::span<const double> reference, std::span<const double> estimate,
                                               int64_t n_channels, int64_t frame);

}  // namespace melisma
