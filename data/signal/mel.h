// Mel scales, filter banks, mel spectrograms and decibels, as librosa, torchaudio and the vocoders make them.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "data/signal/stft.h"

namespace melisma {

// Hz to mel and back: HTK's 2595 log10(1 + f/700), or Slaney's scale (linear below 1 kHz, logarithmic above).
[[nodiscard]] double hz_to_mel(double hz, bool htk);
[[nodiscard]] double mel_to_hz(double mel, bool htk);

struct MelConfig {
  std::int64_t sample_rate_hz = 22050;
  std::int64_t n_fft = 2048;
  std::int64_t n_mels = 128;
  double fmin = 0;          // Hz
  double fmax = 0;          // Hz; 0 = Nyquist
  bool htk = false;         // scale: HTK's or Slaney's
  bool slaney_norm = true;  // each triangle has area 2/(width in Hz); otherwise its peak is 1
  bool operator==(const MelConfig&) const = default;
};

// The triangles as librosa.filters.mel makes them, computed in double: [n_mels, n_fft/2+1]. One shared tensor for each
// distinct (all fields, dtype, device): do not write into it.
[[nodiscard]] at::Tensor mel_filterbank(const MelConfig& config, at::ScalarType dtype, at::Device device = at::kCPU);

// Weighs a spectrum's bins: spectrum [..., bins, frames] -> [..., n_mels, frames], in the spectrum's dtype and device.
[[nodiscard]] at::Tensor to_mel(const at::Tensor& spectrum, const MelConfig& config);

// 10 log10(max(power, amin) / ref), then not more than top_db below the largest value of the whole tensor.
// ref: a fixed power, or nullopt for the tensor's maximum. As librosa.power_to_db and torchaudio's AmplitudeToDB.
[[nodiscard]] at::Tensor power_to_db(const at::Tensor& power, std::optional<double> ref = 1.0, double amin = 1e-10,
                                     std::optional<double> top_db = 80.0);

// The spectrogram vocoders are trained on (HiFi-GAN, RVC): mirrored padding of (n_fft - hop)/2, no centring.
struct VocoderMelConfig {
  std::int64_t sample_rate_hz = 40000;
  std::int64_t n_fft = 2048;
  std::int64_t hop = 400;
  std::int64_t window = 2048;
  std::int64_t n_mels = 125;
  double fmin = 0;  // Hz
  double fmax = 0;  // Hz; 0 = Nyquist
};

// wave [B, N] -> sqrt(re^2 + im^2 + 1e-6), [B, n_fft/2+1, N/hop].
[[nodiscard]] at::Tensor linear_spectrogram(const at::Tensor& wave, const VocoderMelConfig& config);

// spec [B, bins, frames] -> ln(max(mel, 1e-5)), [B, n_mels, frames]; Slaney scale and norm.
[[nodiscard]] at::Tensor log_mel_from_linear(const at::Tensor& spec, const VocoderMelConfig& config);

// Both in one: wave [B, N] -> [B, n_mels, N/hop].
[[nodiscard]] at::Tensor log_mel(const at::Tensor& wave, const VocoderMelConfig& config);

}  // namespace melisma
