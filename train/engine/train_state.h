// Where a run is: plain data, all of it saved in state.json. Weights and moments lie beside it. Torch-free.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "train/engine/overtraining_monitor.h"

namespace melisma {

struct TrainState {
  std::int64_t epochs_done = 0;
  std::int64_t batches_done = 0;      // micro-batches of the epoch in progress that are used up: the loader's cursor
  std::int64_t step = 0;              // optimizer steps so far, skipped ones included
  std::int64_t samples_seen = 0;      // items of batches
  std::int64_t skipped_steps = 0;     // steps with non-finite numbers
  std::int64_t overflowed_steps = 0;  // skipped because the loss scale was too large; counted apart
  double loss_scale = 1;              // of fp16
  std::int64_t steps_at_scale = 0;    // good ones since it changed
  std::vector<Evaluation> evaluations;
  // What the numbers depend on beside weights; a resume that differs is told so.
  std::uint64_t seed = 0;
  std::int64_t threads = 0;  // of each rank
  std::int64_t ranks = 1;
  std::string device = "cpu";  // the kind of it: cpu or cuda

  // The epoch a checkpoint of this state belongs to: the one in progress, or the last one finished.
  [[nodiscard]] std::int64_t epoch() const { return batches_done > 0 ? epochs_done + 1 : epochs_done; }

  [[nodiscard]] std::string to_json() const;
  // Throws Error(checkpoint) if `text` is something else.
  static TrainState from_json(const std::string& text);
};

}  // namespace melisma
