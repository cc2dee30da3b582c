// What is checked before the first step of a training, so that it does not fail hours later.
#pragma once
#include <filesystem>

#include "data/sets/dataset.h"
#include "train/engine/trainer.h"

namespace melisma {

// Train and validation have clips; no sound of train is in validation or test (by content hash); no recording is on two
// sides. Throws Error(data) naming the file and the first clips.
void check_splits(const Dataset& dataset);

// Bytes one checkpoint of these networks takes, moments and averages included.
[[nodiscard]] std::uintmax_t checkpoint_bytes(Task& task, const TrainerConfig& config);

// Throws Error(device) unless the disk of `folder` has room for the checkpoints that will be kept and one being
// written.
void check_free_disk(const std::filesystem::path& folder, Task& task, const TrainingPlan& plan);

}  // namespace melisma
