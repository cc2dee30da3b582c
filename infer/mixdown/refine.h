// A sheet brought nearer to a reference song: descent on the console's parameters for this one song.
#pragma once
#include <cstdint>
#include <functional>

#include "data/audio/waveform.h"
#include "infer/mixdown/mix_sheet.h"
#include "infer/mixdown/stem_store.h"
#include "models/mix/mix_loss_config.h"

namespace melisma {

struct RefineConfig {
  std::int64_t steps = 60;
  double lr = .05;                        // Adam's, on parameters before the sigmoid
  std::int64_t excerpt_samples = 128000;  // the loudest part of the stems against the loudest part of the reference
  // Features alone: which samples a reference has is no business of another song's mix.
  MixLossWeights weights = MixLossWeights::of_features();
};

struct Refined {
  MixSheet sheet;
  double loss_before = 0, loss = 0;
  std::int64_t best_step = 0;  // 0: the sheet as it was
};

// The sheet of the step with the least loss; never a worse one than `sheet`. Deterministic. `progress` gets the steps
// done and the least loss so far.
[[nodiscard]] Refined refine_sheet(const StemStore& stems, const MixSheet& sheet, const Waveform& reference,
                                   const RefineConfig& config,
                                   const std::function<void(std::int64_t, double)>& progress = {});

}  // namespace melisma
