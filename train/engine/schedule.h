// Learning rates as a function of where training is: exponential decay per epoch and linear warm-up.
#pragma once
#include <cstdint>

#include "train/engine/trainer_config.h"

namespace melisma {

// config.lr * lr_decay^(epoch - 1) * min(1, (step + 1) / warm-up steps). `epoch` counts from 1, `step` from 0 at the
// start of the run; a warm-up in epochs is `steps_per_epoch` long each. Throws Error(config) for a warm-up in hours.
[[nodiscard]] double learning_rate(const OptimizerConfig& config, std::int64_t epoch, std::int64_t step,
                                   std::int64_t steps_per_epoch);

// Whether something done `every` so often is due at the end of a step or of an epoch. Steps and epochs are counted from
// the start of the run, so a resumed run does the same things at the same places; seconds are since it was last done.
struct Moment {
  std::int64_t epoch = 0;  // finished epochs, or the one in progress when !is_epoch_end
  std::int64_t step = 0;   // finished steps
  bool is_epoch_end = false;
  double seconds_since_last = 0;
};
[[nodiscard]] bool is_due(const Duration& every, const Moment& moment);

}  // namespace melisma
