// By what a mix is judged while a model learns: a table of terms, each made for a target once and asked about many
// mixes.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "models/mix/console.h"
#include "tools/config/fields.h"

namespace melisma {

// A mix as a model made it, and what it made it with.
struct MadeMix {
  at::Tensor wave;           // [B, 2, N]
  ConsoleControls controls;  // of models with a console; otherwise undefined
};

// What it should have been.
struct WantedMix {
  at::Tensor wave;           // [B, 2, N]
  ConsoleControls controls;  // where they are known; otherwise undefined
  at::Tensor present;        // [B, T] bool: tracks that count; undefined: all
  std::int64_t sample_rate_hz = 0;
};

using MixLossTerm = std::function<at::Tensor(const MadeMix& made)>;  // -> scalar

struct MixLossRow {
  std::string_view name, help;
  MixLossTerm (*make)(const WantedMix& wanted);
};

[[nodiscard]] MixLossTerm make_mr_stft_term(const WantedMix& wanted);
[[nodiscard]] MixLossTerm make_mixing_stft_term(const WantedMix& wanted);
[[nodiscard]] MixLossTerm make_sum_difference_term(const WantedMix& wanted);
[[nodiscard]] MixLossTerm make_l1_term(const WantedMix& wanted);
[[nodiscard]] MixLossTerm make_rms_term(const WantedMix& wanted);
[[nodiscard]] MixLossTerm make_crest_term(const WantedMix& wanted);
[[nodiscard]] MixLossTerm make_width_term(const WantedMix& wanted);
[[nodiscard]] MixLossTerm make_imbalance_term(const WantedMix& wanted);
[[nodiscard]] MixLossTerm make_bark_term(const WantedMix& wanted);
[[nodiscard]] MixLossTerm make_lufs_term(const WantedMix& wanted);
[[nodiscard]] MixLossTerm make_parameters_term(const WantedMix& wanted);

inline constexpr std::array kMixLosses{
    MixLossRow{"mr_stft", "spectra at three resolutions, channel by channel (auraloss's defaults)", make_mr_stft_term},
    MixLossRow{"mixing_stft", "linear and log spectra of 512, 2048 and 8192 samples, channel by channel",
               make_mixing_stft_term},
    MixLossRow{"sum_difference",
               "spectra of 4096, 1024 and 256 samples of L + R and L - R: left and right may be swapped",
               make_sum_difference_term},
    MixLossRow{"l1", "mean difference of samples", make_l1_term},
    MixLossRow{"rms", "squared difference of the channels' RMS", make_rms_term},
    MixLossRow{"crest", "squared difference of the channels' crest factors in dB", make_crest_term},
    MixLossRow{"width", "squared difference of stereo widths", make_width_term},
    MixLossRow{"imbalance", "squared difference of left-right balances", make_imbalance_term},
    MixLossRow{"bark", "squared difference of log spectra in 24 Bark bands of mid and side", make_bark_term},
    MixLossRow{"lufs", "squared difference of integrated loudness in LU", make_lufs_term},
    MixLossRow{"parameters", "squared difference of console parameters in 0 ... 1, where a dataset knows them",
               make_parameters_term},
};

// Weights of the terms; the names are those of kMixLosses, in its order. 0 leaves a term out.
struct MixLossWeights {
  double mr_stft = 0, mixing_stft = 0, sum_difference = 1, l1 = 0;
  double rms = 0, crest = 0, width = 0, imbalance = 0, bark = 0, lufs = 0, parameters = 0;
  static constexpr auto fields() {
    using C = MixLossWeights;
    const auto weight = [](std::size_t row, double C::*member) {
      return field(kMixLosses[row].name, member, kMixLosses[row].help).at_least(0);
    };
    return std::tuple{weight(0, &C::mr_stft), weight(1, &C::mixing_stft), weight(2, &C::sum_difference),
                      weight(3, &C::l1),      weight(4, &C::rms),         weight(5, &C::crest),
                      weight(6, &C::width),   weight(7, &C::imbalance),   weight(8, &C::bark),
                      weight(9, &C::lufs),    weight(10, &C::parameters)};
  }
  // Diff-MST's weights of the audio features, all else 0.
  [[nodiscard]] static MixLossWeights of_features();
};

// The weighted terms against one target.
class MixCriterion {
 public:
  // Error(config) if every weight is 0; Error(data) if a term needs what `wanted` does not have.
  MixCriterion(const MixLossWeights& weights, const WantedMix& wanted);
  struct Judgement {
    at::Tensor total;                                       // [] weighted sum, differentiable
    std::vector<std::pair<std::string, at::Tensor>> terms;  // [] each, unweighted, detached
  };
  [[nodiscard]] Judgement operator()(const MadeMix& made) const;

 private:
  struct Weighted {
    std::string name;
    double weight;
    MixLossTerm term;
  };
  std::vector<Weighted> terms_;
};

}  // namespace melisma
