// How loud frames sound to the ear: the A-weighting of IEC 61672 and levels a frame, as librosa and torchcrepe have
// them.
#pragma once
#include <span>
#include <vector>

namespace melisma {

// The A-weighting of a frequency in dB, 0 at 1 kHz, no less than -80 (librosa.A_weighting).
[[nodiscard]] double a_weighting_db(double hz);

// Mono wave at 16 kHz -> n/160 + 1 levels: the mean over 513 bins of 20 log10 |S| (no lower than 80 dB below the
// loudest bin of the whole wave) + A-weighting - 20, no lower than -100 a bin. Windows of 1024 centred on sample 160 t,
// zeros outside. As torchcrepe 0.0.24's loudness.a_weighted.
[[nodiscard]] std::vector<float> a_weighted_loudness_db(std::span<const float> wave_16k);

}  // namespace melisma
