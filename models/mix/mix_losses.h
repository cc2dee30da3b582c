// By what a mix is judged while a model learns: a table of terms, each made for a target once and asked about many
// mixes.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/mix/console.h"
#include "models/mix/mix_loss_config.h"

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
    MixLossRow{kMixLossNames[0].name, kMixLossNames[0].help, make_mr_stft_term},
    MixLossRow{kMixLossNames[1].name, kMixLossNames[1].help, make_mixing_stft_term},
    MixLossRow{kMixLossNames[2].name, kMixLossNames[2].help, make_sum_difference_term},
    MixLossRow{kMixLossNames[3].name, kMixLossNames[3].help, make_l1_term},
    MixLossRow{kMixLossNames[4].name, kMixLossNames[4].help, make_rms_term},
    MixLossRow{kMixLossNames[5].name, kMixLossNames[5].help, make_crest_term},
    MixLossRow{kMixLossNames[6].name, kMixLossNames[6].help, make_width_term},
    MixLossRow{kMixLossNames[7].name, kMixLossNames[7].help, make_imbalance_term},
    MixLossRow{kMixLossNames[8].name, kMixLossNames[8].help, make_bark_term},
    MixLossRow{kMixLossNames[9].name, kMixLossNames[9].help, make_lufs_term},
    MixLossRow{kMixLossNames[10].name, kMixLossNames[10].help, make_parameters_term},
};
static_assert(kMixLosses.size() == kMixLossNames.size());

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
