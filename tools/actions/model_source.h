// What people name where a MODEL is asked for: a model file, a run (with an epoch), a run folder or a checkpoint
// folder.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/runs/run.h"
#include "models/weights/model_file.h"
#include "train/engine/checkpoint_index.h"

namespace melisma {

struct ModelSource {
  std::filesystem::path file;                 // the weights to read
  std::optional<Run> run;                     // where they come from a run
  std::optional<CheckpointEntry> checkpoint;  // where they come from a checkpoint
  std::string label;                          // "alice, epoch 12" or the file's name
};

// `name` is a file, a checkpoint folder, a run folder, or a run of the workspace; `which` chooses the checkpoint of a
// run: "best", "last" or an epoch. Averaged weights are taken where the run keeps them. Error(usage) with what there
// is.
[[nodiscard]] ModelSource find_model(const std::filesystem::path& workspace, const std::string& name,
                                     std::string_view which = "best");

// Where two models have one label, both are called by their files.
void make_labels_distinct(std::vector<ModelSource>& sources);

// The model of find_model, read.
[[nodiscard]] ModelFile load_model(const std::filesystem::path& workspace, const std::string& name,
                                   std::string_view which = "best");

}  // namespace melisma
