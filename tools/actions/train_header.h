// The first lines of a training: every setting that matters.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "data/sets/dataset.h"
#include "experiments/runs/run.h"
#include "tools/base/event.h"
#include "train/engine/task.h"
#include "train/engine/trainer.h"

namespace melisma {

struct TrainingHeader {
  const Run& run;
  const Dataset& dataset;
  const TrainingPlan& plan;
  const std::vector<std::pair<std::string, std::string>>& facts;  // of the recipe
  const Loader& loader;
  const TrainState& state;
  bool is_continued = false;
};

void say_header(EventSink& events, const TrainingHeader& header);

}  // namespace melisma
