// What a stereo mix is like as numbers that training can descend on: level, crest, width, balance, spectrum in Bark
// bands, loudness. The first five are those of Diff-MST's audio feature loss.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace melisma {

inline constexpr std::int64_t kBarkFft = 32768, kBarkHop = 8192, kBarkBands = 24;

// Of stereo waves [B, 2, N]; float or double.
[[nodiscard]] at::Tensor mix_rms(const at::Tensor& wave);        // [B, 2], at least 1e-4
[[nodiscard]] at::Tensor mix_crest_db(const at::Tensor& wave);   // [B, 2]: peak over RMS
[[nodiscard]] at::Tensor mix_width(const at::Tensor& wave);      // [B]: energy of L - R over that of L + R
[[nodiscard]] at::Tensor mix_imbalance(const at::Tensor& wave);  // [B]: (energy of R - L) / (R + L)

// ln(mean over frames of the magnitudes in 24 bands + 1e-8) of L + R and L - R, [B, 24, 2]; an FFT of 32768 every 8192
// samples, so N is more than 16384 (Error(data) otherwise).
[[nodiscard]] at::Tensor mix_bark_spectrum(const at::Tensor& wave, std::int64_t sample_rate_hz);

// The triangles of mix_bark_spectrum, [24, bins]: corners evenly spaced on Traunmueller's scale from 20 Hz to 20 kHz.
// Going back to Hz, the published filters correct only the low end of the scale, so that the upper corners lie above
// Nyquist: that is kept. `corners_hz`, if given, gets the 26 corners.
[[nodiscard]] at::Tensor bark_filter_bank(std::int64_t sample_rate_hz, at::Tensor* corners_hz = nullptr);

// Integrated loudness by BS.1770-4 in LUFS, [B]: blocks of 400 ms every 100 ms, gated at -70 LUFS and 10 LU below what
// is left; which blocks count has no gradient. Shorter waves are one block. At least -120 LUFS.
[[nodiscard]] at::Tensor mix_lufs(const at::Tensor& wave, std::int64_t sample_rate_hz);

}  // namespace melisma
