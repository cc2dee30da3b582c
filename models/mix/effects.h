// Sound effects that training can descend through: fader, pan laws, parametric equaliser, compressor, bus sends.
// Numbers are those of dasp-pytorch 0.0.1.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace melisma {

// 10^(db / 20), any shape.
[[nodiscard]] at::Tensor factor_of_db(const at::Tensor& db);

// x [..., N] at gain_db [...] (or what broadcasts to it) -> [..., N].
[[nodiscard]] at::Tensor fade(const at::Tensor& x, const at::Tensor& gain_db);

enum class PanLaw {
  compromise,      // root of the product of linear and constant power: -4.5 dB each at the centre
  constant_power,  // cos and sin: -3 dB each at the centre
};

// pan [...], 0 left ... 1 right -> factors of left and right [..., 2]. At the very ends the compromise law has no
// gradient; it is taken as 0.
[[nodiscard]] at::Tensor pan_factors(const at::Tensor& pan, PanLaw law);

// mono x [..., N] at pan [...] -> stereo [..., 2, N].
[[nodiscard]] at::Tensor pan_to_stereo(const at::Tensor& x, const at::Tensor& pan, PanLaw law = PanLaw::compromise);

// The smallest power of two of at least 2 n - 1: the points on which a signal of n samples is filtered in frequency.
[[nodiscard]] std::int64_t filtering_points(std::int64_t n);

enum class EqualizerBand { low_shelf, peak, high_shelf };

// The response of one section of the Audio EQ Cookbook, worked out on the analogue side of the bilinear transform,
// which loses nothing to cancellation in float. gain_db, frequency_hz, q [...] -> complex [..., points / 2 + 1].
[[nodiscard]] at::Tensor equalizer_response(EqualizerBand band, const at::Tensor& gain_db,
                                            const at::Tensor& frequency_hz, const at::Tensor& q, double sample_rate_hz,
                                            std::int64_t points);

// Low shelf, four peaks, high shelf in series. x [..., N]; bands [..., 18]: gain in dB, frequency in Hz and q of each,
// in that order. Filtered in frequency on filtering_points(N): the end of a response longer than N wraps to the
// beginning.
[[nodiscard]] at::Tensor equalize(const at::Tensor& x, const at::Tensor& bands, double sample_rate_hz);

// A feed-forward compressor whose channels share one gain, that of their sum. x [..., C, N]; settings [..., 6]:
// threshold in dB, ratio, attack in ms, release in ms (not used: one time constant serves both), knee in dB, make-up
// gain in dB. Gain acts `lookahead` samples before what caused it: x is delayed, with zeros before. The smoothing is
// filtered in frequency as in equalize().
[[nodiscard]] at::Tensor compress(const at::Tensor& x, const at::Tensor& settings, double sample_rate_hz,
                                  std::int64_t lookahead = 0);

// The smoothed gain reduction in dB of compress(), make-up not counted: side [..., N] (the sum of the channels) ->
// [..., N].
[[nodiscard]] at::Tensor compressor_gain_db(const at::Tensor& side, const at::Tensor& settings, double sample_rate_hz);

// Stereo tracks [..., T, 2, N] added up at send_db [..., T] -> [..., 2, N].
[[nodiscard]] at::Tensor sum_to_bus(const at::Tensor& tracks, const at::Tensor& send_db);

}  // namespace melisma
