// From CREPE's probabilities to a pitch curve: torchcrepe's decoders and filters, without the random dither it adds.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace melisma {

// How a bin is chosen a frame: the strongest; the mean around the strongest; or the likeliest path in which pitch moves
// less than 12 bins a frame.
enum class CrepeDecoder { argmax, weighted_argmax, viterbi };

struct CrepeTrack {
  std::vector<float> hz;           // a frame
  std::vector<float> periodicity;  // the network's probability of the chosen bin, 0 ... 1
};

// probabilities row-major [frames][360]; bins whose pitch lies outside fmin ... fmax are not chosen. As torchcrepe
// 0.0.24's postprocess, with one path over all frames (it starts a new one each batch).
[[nodiscard]] CrepeTrack decode_crepe(std::span<const float> probabilities, CrepeDecoder decoder, double fmin_hz,
                                      double fmax_hz);

// The lower median, or the mean, of the numbers in a window (odd) around each value. Values that are no numbers count
// for nothing; where a window holds none, or the mean is 0, the result is no number.
[[nodiscard]] std::vector<float> median_filter(std::span<const float> values, std::int64_t width);
[[nodiscard]] std::vector<float> mean_filter(std::span<const float> values, std::int64_t width);

}  // namespace melisma
