// What a checkpoint folder holds of a training in progress, written and read whole.
#pragma once
#include <filesystem>
#include <memory>
#include <vector>

#include "train/engine/ema.h"
#include "train/engine/optimizer.h"
#include "train/engine/task.h"
#include "train/engine/train_state.h"

namespace melisma {

// A network with its optimizer: whose turn it is in a step.
struct Turn {
  Network network;
  std::unique_ptr<AdamW> optimizer;
};

// Everything with state of its own, borrowed from the trainer; `average` is null when averaging is off.
struct TrainingParts {
  Task& task;
  std::vector<Turn>& turns;
  WeightAverage* average;
};

// Writes model.safetensors (the main network), <network>.safetensors for each other one, ema.safetensors when there is
// an average (a complete model file too), optimizer.safetensors ("<network>/<parameter>/exp_avg") and state.json into
// `folder`. `metrics` is JSON for the model files; may be empty.
void write_training_files(const std::filesystem::path& folder, const TrainingParts& parts, const TrainState& state,
                          const std::string& metrics);

// Reads them back, bit for bit. Throws Error(checkpoint) naming the file and what does not fit.
[[nodiscard]] TrainState read_training_files(const std::filesystem::path& folder, const TrainingParts& parts);

}  // namespace melisma
