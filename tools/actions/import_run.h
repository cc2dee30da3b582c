// The checkpoint of an experiment folder, and the run that trains on from it.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "experiments/runs/run.h"
#include "infer/features/content_config.h"
#include "models/rvc/experiment_config.h"
#include "models/rvc/training_file.h"
#include "tools/actions/import_action.h"
#include "train/import/experiment_folder.h"

namespace melisma {

// Both networks after the same epoch, and the settings they were trained with.
struct ImportedCheckpoint {
  std::filesystem::path generator_path, discriminator_path;
  RvcTrainingFile generator, discriminator;
  RvcExperimentConfig config;
  std::int64_t epoch = 0, step = 0;
};

// The checkpoint with most epochs behind it, whatever its name. Files that cannot be read are passed over and named in
// `problems`; nothing if none is left. The sample rate is needed where the files do not tell it; 0 = not known.
[[nodiscard]] std::optional<ImportedCheckpoint> newest_checkpoint(const ExperimentFolder& experiment,
                                                                  std::int64_t sample_rate_hz,
                                                                  std::vector<std::string>& problems);

// What the content features of an experiment are, as far as the tool says: its encoder by name, the layer by width.
[[nodiscard]] ContentConfig content_of_experiment(const ExperimentFolder& experiment, std::int64_t width);

// A run whose first checkpoint is the imported one, optimizer state and epoch included: `train rvc --resume` goes on.
Run make_imported_run(const ImportOptions& options, const ExperimentFolder& experiment,
                      const ImportedCheckpoint& checkpoint, const std::filesystem::path& dataset);

}  // namespace melisma
