// Power spectra on the grid of the content features: what cepstra and formants are made of.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "infer/features/pitch.h"

namespace melisma {

inline constexpr std::int64_t kShortWindow = 400, kShortTransform = 512;  // 25 ms at 16 kHz

// Frames first, first + stride, ... (count of them) of a mono wave at 16 kHz -> [count, 257]. Frame t is centred on the
// middle of samples [160 t, 160 t + 160); beyond the ends there is silence, and samples that are no numbers are
// silence.
[[nodiscard]] at::Tensor short_spectra(std::span<const float> wave_16k, std::int64_t first, std::int64_t count,
                                       std::int64_t stride = 1);

}  // namespace melisma
