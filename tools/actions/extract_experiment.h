// `melisma extract --format applio-experiment`: beside the checkpoint everything an RVC tool trains on.
#pragma once
#include <filesystem>
#include <string>

#include "data/sets/dataset.h"
#include "models/rvc/training_file.h"
#include "models/rvc/voice_model.h"
#include "tools/base/event.h"

namespace melisma {

struct ExperimentRequest {
  RvcTool tool = RvcTool::applio;
  std::string name;             // folder below logs/ that filelist.txt speaks of
  std::string held_out_caveat;  // what is known against held-out scores; empty = nothing
};

struct WrittenExperiment {
  std::int64_t n_slices = 0, n_held_out = 0;
  double seconds = 0;  // of the slices that are not held out
};

// Writes what the tool would have made of the clips: slices at the voice's rate and at 16 kHz (float32), pitch in Hz
// and in bins, content features, filelist.txt and, for Applio, model_info.json. The clips of the train split lie where
// the tool looks, those of the others in held_out (experiment_folder.h), where it does not. `voice` names the features.
// Throws Error: data if the dataset lacks them, usage if the tool makes none of that kind or trains without pitch,
// device if the disk refuses. Warns where the tool would make the features otherwise.
WrittenExperiment write_experiment(const std::filesystem::path& folder, const ExperimentRequest& request,
                                   const Dataset& dataset, const RvcVoiceConfig& voice, EventSink& events);

}  // namespace melisma
