// From the networks' bins to pitch: what frame-by-frame probabilities say in Hz.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace melisma {

inline constexpr std::int64_t kPitchBins = 360;

// Pitch c cents above 10 Hz, in Hz, and back.
[[nodiscard]] double hz_of_cents(double cents);
[[nodiscard]] double cents_of_hz(double hz);
// Centre of a bin of RMVPE and CREPE: 20 cents apart from 31.7 Hz on.
[[nodiscard]] double cents_of_bin(std::int64_t bin);

// RMVPE: salience row-major [frames][360] -> f0 in Hz, the mean of the cents of the strongest bin and four to each
// side, weighted by salience; 0 where nothing is stronger than `threshold`. As the RVC tools.
[[nodiscard]] std::vector<double> decode_rmvpe(std::span<const float> salience, double threshold);

// FCPE: probabilities row-major [frames][bins] and the cents of each bin -> f0 in Hz; 0 where nothing is stronger than
// `threshold`. As torchfcpe's decoders local_argmax (weighted mean around the strongest bin, edges repeated) and argmax
// (weighted mean of all bins).
enum class FcpeDecoder { local_argmax, argmax };
[[nodiscard]] std::vector<double> decode_fcpe(std::span<const float> probabilities, std::span<const float> bin_cents,
                                              FcpeDecoder decoder, double threshold);

}  // namespace melisma
