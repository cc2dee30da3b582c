// The names of what mixes are judged by, and a weight for each. Torch-free.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>
#include <tuple>

#include "tools/config/fields.h"

namespace melisma {

struct MixLossName {
  std::string_view name, help;
};

inline constexpr std::array<MixLossName, 11> kMixLossNames{{
    {"mr_stft", "spectra at three resolutions, channel by channel (auraloss's defaults)"},
    {"mixing_stft", "linear and log spectra of 512, 2048 and 8192 samples, channel by channel"},
    {"sum_difference", "spectra of 4096, 1024 and 256 samples of L + R and L - R: left and right may be swapped"},
    {"l1", "mean difference of samples"},
    {"rms", "squared difference of the channels' RMS"},
    {"crest", "squared difference of the channels' crest factors in dB"},
    {"width", "squared difference of stereo widths"},
    {"imbalance", "squared difference of left-right balances"},
    {"bark", "squared difference of log spectra in 24 Bark bands of mid and side"},
    {"lufs", "squared difference of integrated loudness in LU"},
    {"parameters", "squared difference of console parameters in 0 ... 1, where they are known"},
}};

// 0 leaves a term out.
struct MixLossWeights {
  double mr_stft = 0, mixing_stft = 0, sum_difference = 1, l1 = 0;
  double rms = 0, crest = 0, width = 0, imbalance = 0, bark = 0, lufs = 0, parameters = 0;
  static constexpr auto fields() {
    using C = MixLossWeights;
    const auto weight = [](std::size_t row, double C::*member) {
      return field(kMixLossNames[row].name, member, kMixLossNames[row].help).at_least(0);
    };
    return std::tuple{weight(0, &C::mr_stft), weight(1, &C::mixing_stft), weight(2, &C::sum_difference),
                      weight(3, &C::l1),      weight(4, &C::rms),         weight(5, &C::crest),
                      weight(6, &C::width),   weight(7, &C::imbalance),   weight(8, &C::bark),
                      weight(9, &C::lufs),    weight(10, &C::parameters)};
  }
  // Diff-MST's weights of the audio features, all else 0.
  [[nodiscard]] static constexpr MixLossWeights of_features() {
    MixLossWeights weights;
    weights.sum_difference = 0;
    weights.rms = .1;
    weights.crest = .001;
    weights.width = weights.imbalance = 1;
    weights.bark = .1;
    return weights;
  }
};

}  // namespace melisma
