#include "tools/actions/import_run.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "infer/features/content.h"
#include "infer/features/pitch_recipe.h"
#include "models/rvc/tensor_shapes.h"
#include "models/rvc/voice_model.h"
#include "models/weights/pth_file.h"
#include "models/weights/pth_model.h"
#include "tools/actions/run_manifest.h"
#include "tools/actions/train_preflight.h"
#include "tools/base/atomic_file.h"
#include "tools/base/clock.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"
#include "tools/base/table.h"
#include "tools/config/config.h"
#include "train/engine/checkpoint.h"
#include "train/engine/checkpoint_index.h"
#include "train/tasks/rvc_recipe.h"

namespace melisma {
namespace import_run_detail {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::int64_t kMoreEpochs = 100;  // that a plain --resume trains

// Epochs behind a G file; nothing if it cannot be read, which `problems` then says.
std::optional<std::int64_t> epochs_of(const fs::path& path, std::vector<std::string>& problems) {
  try {
    return with_context(fmt::format("reading '{}'", path.filename().string()),
                        [&] { return model_from_pth(read_pth(path)).epoch; });
  } catch (const Error& error) {
    problems.emplace_back(error.what());
    return std::nullopt;
  }
}

// G files with the most epochs first.
std::vector<fs::path> newest_first(const std::vector<fs::path>& generators, std::vector<std::string>& problems) {
  std::vector<std::pair<std::int64_t, fs::path>> found;
  for (const auto& path : generators) {
    if (const auto epochs = epochs_of(path, problems)) found.emplace_back(*epochs, path);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<fs::path> paths;
  for (auto& [epochs, path] : found) paths.push_back(std::move(path));
  return paths;
}

// What config.json says, which must be of these weights; without one what the shapes say, sound as the tools have it.
RvcExperimentConfig config_of(const ExperimentFolder& experiment, const RvcTrainingFile& generator) {
  const auto shapes = rvc_voice_config(generator.model).network;
  if (!experiment.config) {
    return {.network = shapes,
            .learning_rate = generator.optimizer.initial_lr.value_or(generator.optimizer.lr),
            .mel_weight = RvcLossWeights{}.mel,
            .kl_weight = RvcLossWeights{}.kl};
  }
  return with_context(fmt::format("reading '{}'", experiment.config->filename().string()), [&] {
    auto config = rvc_experiment_config_of(read_file(*experiment.config), shapes.content_channels);
    config.network.content_channels = shapes.content_channels;
    config.network.speakers = shapes.speakers;  // the file has those training began with
    config.network.posterior_layers = shapes.posterior_layers;
    config.network.use_f0 = shapes.use_f0;
    config.network.vocoder = shapes.vocoder;
    if (config.network.sample_rate_hz != shapes.sample_rate_hz) {
      fail(ErrorKind::checkpoint, "it says {} Hz, but the G file is of {} Hz", config.network.sample_rate_hz,
           shapes.sample_rate_hz);
    }
    const auto difference = rvc_tensor_shapes(config.network, {}).difference_to(generator.model.weights);
    if (!difference.empty()) {
      fail(ErrorKind::checkpoint, "it is not the configuration of the G file: {}", difference.summary());
    }
    return config;
  });
}

ImportedCheckpoint read_checkpoint(const ExperimentFolder& experiment, const fs::path& path,
                                   std::int64_t sample_rate_hz) {
  const auto beside = rvc_discriminator_beside(path);
  if (!beside) {
    fail(ErrorKind::checkpoint, "'{}' has no D file beside it, without which training cannot go on",
         path.filename().string());
  }
  ImportedCheckpoint checkpoint{.generator_path = path, .discriminator_path = *beside};
  checkpoint.generator = read_rvc_generator(path, sample_rate_hz);
  checkpoint.discriminator = read_rvc_discriminator(*beside);
  if (checkpoint.generator.model.epoch != checkpoint.discriminator.model.epoch) {
    fail(ErrorKind::checkpoint, "'{}' is of epoch {} but '{}' of epoch {}: they do not belong together",
         path.filename().string(), checkpoint.generator.model.epoch, beside->filename().string(),
         checkpoint.discriminator.model.epoch);
  }
  checkpoint.config = config_of(experiment, checkpoint.generator);
  checkpoint.epoch = std::max<std::int64_t>(checkpoint.generator.model.epoch, 0);
  for (const auto& [name, tensor] : checkpoint.generator.moments) {
    if (name.ends_with("/step")) checkpoint.step = std::max(checkpoint.step, tensor.item().toLong());
  }
  return checkpoint;
}

// The rate before any decay from which training goes on where the tool would: the file holds that of its last epoch.
double base_rate(const TorchAdamSettings& optimizer, double lr_decay, std::int64_t epoch) {
  const auto decays = static_cast<double>(std::max<std::int64_t>(epoch, 1) - 1);
  const auto base = optimizer.lr / std::pow(lr_decay, decays);
  const auto stated = optimizer.initial_lr.value_or(base);
  return std::abs(base - stated) <= 1e-6 * stated ? stated : base;
}

Json optimizer_json(const RvcTrainingFile& file, const ImportedCheckpoint& checkpoint) {
  const auto& optimizer = file.optimizer;
  return {{"lr", base_rate(optimizer, checkpoint.config.lr_decay, checkpoint.epoch)},
          {"beta1", optimizer.beta1},
          {"beta2", optimizer.beta2},
          {"eps", optimizer.eps},
          {"weight_decay", optimizer.weight_decay},
          {"lr_decay", checkpoint.config.lr_decay}};
}

// The RVC configuration the network is nearest to: [model] then says every size itself.
std::string preset_for(const RvcConfig& network) {
  for (const auto& row : kRvcConfigs) {
    const auto config = row.make();
    if (config.sample_rate_hz == network.sample_rate_hz && config.content_channels == network.content_channels) {
      return std::string(row.name);
    }
  }
  return RvcSettings{}.preset;
}

Json settings_for(const ExperimentFolder& experiment, const ImportedCheckpoint& checkpoint) {
  auto network = checkpoint.config.network;
  auto content = content_of_experiment(experiment, network.content_channels);
  auto judges = rvc_discriminator_of_shapes(checkpoint.discriminator.model.weights);
  auto model = to_json(schema_of(network));
  model.erase("content_channels");  // follows from [content]
  return {{"preset", preset_for(network)},
          {"model", model},
          {"discriminator", to_json(schema_of(judges))},
          {"content", to_json(schema_of(content))},
          {"pitch", {{"method", kImportedPitch}}},
          {"losses", {{"mel", checkpoint.config.mel_weight}, {"kl", checkpoint.config.kl_weight}}},
          {"generator_optimizer", optimizer_json(checkpoint.generator, checkpoint)},
          {"discriminator_optimizer", optimizer_json(checkpoint.discriminator, checkpoint)},
          {"trainer",
           {{"epochs", checkpoint.epoch + kMoreEpochs}, {"seed", std::max<std::int64_t>(checkpoint.config.seed, 0)}}}};
}

// Weights and moments into the networks of the task, and from there into the run's first checkpoint.
void write_first_checkpoint(const Run& run, ComposedTask& composed, const ImportedCheckpoint& checkpoint) {
  const auto file_of = [&](const std::string& network) -> const RvcTrainingFile& {
    return network == composed.task->main_network() ? checkpoint.generator : checkpoint.discriminator;
  };
  std::vector<Turn> turns;
  for (const auto& network : composed.task->networks()) {
    const auto& file = file_of(network.name);
    with_context(fmt::format("taking over the {}", network.name), [&] { network.module->load(file.model.weights); });
    turns.push_back({network, std::make_unique<AdamW>(*network.module, OptimizerConfig{})});
    turns.back().optimizer->load(file.moments);
  }
  TrainState state;
  state.epochs_done = checkpoint.epoch;
  state.step = checkpoint.step;
  state.seed = composed.plan.trainer.seed;
  state.threads = at::get_num_threads();
  CheckpointStore store(run.checkpoints(), composed.plan.checkpoints, run.id());
  store.write({.epoch = state.epochs_done, .step = state.step}, [&](const fs::path& folder) {
    write_training_files(folder, {*composed.task, turns, nullptr}, state, "");
  });
}

Json file_json(const fs::path& path) {
  return {{"path", fs::absolute(path).lexically_normal().string()}, {"sha256", sha256_of_file(path)}};
}

}  // namespace
}  // namespace import_run_detail

std::optional<ImportedCheckpoint> newest_checkpoint(const ExperimentFolder& experiment, std::int64_t sample_rate_hz,
                                                    std::vector<std::string>& problems) {
  using namespace import_run_detail;
  for (const auto& path : newest_first(experiment.generators, problems)) {
    try {
      return read_checkpoint(experiment, path, sample_rate_hz);
    } catch (const Error& error) {
      problems.emplace_back(error.what());
    }
  }
  return std::nullopt;
}

ContentConfig content_of_experiment(const ExperimentFolder& experiment, std::int64_t width) {
  ContentConfig content{.method = "hubert", .weights_sha256 = std::string(kImportedWeights) + experiment.embedder};
  const bool is_v1 = width == 256;
  content.hubert.output = is_v1 ? "v1" : "v2";
  if (is_v1 && experiment.layout != nullptr && experiment.layout->tool == "applio") {
    content.hubert = {.output = "layer", .layer = 12, .projection = true};  // Applio projects its last layer
  }
  return content;
}

Run make_imported_run(const ImportOptions& options, const ExperimentFolder& experiment,
                      const ImportedCheckpoint& checkpoint, const std::filesystem::path& dataset_path) {
  using namespace import_run_detail;
  const auto& row = find_row(kTasks, "rvc", "recipe");
  RvcRecipe recipe;
  auto schema = recipe.schema();
  from_json(schema, settings_for(experiment, checkpoint), experiment.folder.string());
  const auto dataset = std::make_shared<const Dataset>(Dataset::open(dataset_path));
  check_splits(*dataset);
  auto composed = recipe.compose({dataset, std::nullopt});
  auto manifest = run_manifest(
      {.recipe = "rvc", .version = options.version, .commit = options.commit, .seed = composed.plan.trainer.seed},
      *dataset);
  manifest["imported"] = {{"tool", experiment.layout->tool},
                          {"generator", file_json(checkpoint.generator_path)},
                          {"discriminator", file_json(checkpoint.discriminator_path)},
                          {"epoch", checkpoint.epoch},
                          {"step", checkpoint.step},
                          {"held_out_caveat", experiment.held_out_caveat}};
  const auto weights = manifest["imported"]["generator"]["sha256"].get<std::string>();
  check_free_disk(options.workspace, *composed.task, composed.plan);
  auto run = Run::create(options.workspace, options.name, run_signature(row, recipe, *dataset, weights),
                         to_toml(schema), manifest);
  write_first_checkpoint(run, composed, checkpoint);
  run.set_status({.state = "created",
                  .reason = fmt::format("imported after {} epochs; --resume goes on", checkpoint.epoch),
                  .epoch = checkpoint.epoch,
                  .step = checkpoint.step,
                  .started_utc = utc_now()});
  return run;
}

}  // namespace melisma
