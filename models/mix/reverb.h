// A reverb whose room is shaped noise: twelve bands of it, each with a level and a decay (as dasp-pytorch's
// noise_shaped_reverberation).
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace melisma {

inline constexpr std::int64_t kReverbBands = 12;

// Linear-phase filters of an octave each: low-pass at 12 Hz, bands around 31.5 Hz ... 16 kHz, high-pass at 18 kHz,
// Hamming windows scaled to unit gain mid-band (scipy.signal.firwin), rounded to float. n_taps odd. [12, n_taps]
// double.
[[nodiscard]] at::Tensor octave_filter_bank(std::int64_t n_taps, double sample_rate_hz);

// White noise [..., 12, n + n_taps - 1] through the bank, band by band -> [..., 12, n], in its dtype.
[[nodiscard]] at::Tensor octave_noise(const at::Tensor& white, std::int64_t n_taps, double sample_rate_hz);

// octave_noise of unit variance drawn from `seed`: [2, 12, n_samples] float. The same for the same arguments.
[[nodiscard]] at::Tensor reverb_noise(std::uint64_t seed, std::int64_t n_samples, double sample_rate_hz);

// The room: noise [2, 12, n]; gains and decays [..., 12] in 0 ... 1, a band falls by exp(-(1 + 10 decay)) over the n
// samples -> impulse response [..., 2, n], the mean of the bands.
[[nodiscard]] at::Tensor room_response(const at::Tensor& noise, const at::Tensor& gains, const at::Tensor& decays);

// x [..., 2, N] in the room response [..., 2, n] -> its first N samples, [..., 2, N]. Nothing wraps.
[[nodiscard]] at::Tensor in_room(const at::Tensor& x, const at::Tensor& response);

}  // namespace melisma
