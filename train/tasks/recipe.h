// What the train command needs of a recipe: its settings, and the task, loader and plan they make with a dataset.
#pragma once
#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/sets/dataset.h"
#include "tools/base/event.h"
#include "tools/config/schema.h"
#include "train/engine/task.h"
#include "train/engine/trainer.h"
#include "train/parallel/distributed_config.h"

namespace melisma {

// What a recipe is composed with.
struct RecipeInputs {
  std::shared_ptr<const Dataset> dataset;
  std::optional<std::filesystem::path> from;    // pretrained weights to start with
  Shard shard = {};                             // of each batch: this process's
  std::int64_t local_rank = 0, local_size = 1;  // among the processes on this machine, which share its GPUs
};

// A recipe ready to train. The plan lacks only checkpoint_folder and run, which are the command's.
struct ComposedTask {
  std::unique_ptr<Task> task;
  std::unique_ptr<Loader> loader;
  TrainingPlan plan;
  DistributedConfig distributed;  // how ranks meet, where there are several
  // Lines of the run header below those of every recipe: {"model", "v2-40k, 54.3 M + 68.0 M parameters"}, {"losses",
  // "mel 45, kl 1, feature 2, adversarial 1"}, ...
  std::vector<std::pair<std::string, std::string>> facts;
};

class Recipe {
 public:
  virtual ~Recipe() = default;
  // The settings, borrowed: what is loaded into them counts at compose().
  [[nodiscard]] virtual Schema schema() = 0;
  // How many epochs; the command's --epochs.
  virtual void set_epochs(std::int64_t epochs) = 0;
  // Checks settings, dataset and weights against each other before anything is computed. Throws Error(config, data or
  // checkpoint) naming the file, what was expected and what was found.
  [[nodiscard]] virtual ComposedTask compose(const RecipeInputs& inputs) = 0;
};

// One recipe a row: `melisma train <name>`.
struct RecipeRow {
  std::string_view name, summary;
  std::unique_ptr<Recipe> (*make)();
  DatasetKind dataset = DatasetKind::voice;  // what it learns from
};

[[nodiscard]] std::unique_ptr<Recipe> make_rvc_recipe();
[[nodiscard]] std::unique_ptr<Recipe> make_mix_recipe();

inline constexpr std::array kTasks{
    RecipeRow{"rvc", "an RVC voice from recordings of one or more speakers", make_rvc_recipe},
    RecipeRow{"mix", "a mixing model from songs in tracks with their finished mixes", make_mix_recipe,
              DatasetKind::multitrack},
};

}  // namespace melisma
