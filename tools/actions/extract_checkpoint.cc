#include "tools/actions/extract_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "data/sets/dataset.h"
#include "experiments/runs/held_out_caveat.h"
#include "models/rvc/experiment_config.h"
#include "models/rvc/voice_file.h"
#include "models/weights/pth_file.h"
#include "tools/actions/console.h"
#include "tools/actions/dataset_source.h"
#include "tools/actions/extract_experiment.h"
#include "tools/actions/model_source.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"
#include "tools/base/stop.h"
#include "tools/config/config.h"
#include "train/engine/train_state.h"
#include "train/import/experiment_folder.h"
#include "train/tasks/rvc_recipe.h"

namespace melisma {
namespace extract_checkpoint_detail {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Both networks as they are to be written, and what the tool reads beside them.
struct TrainingPair {
  RvcTrainingFile generator, discriminator;
  RvcExperimentConfig config;
  std::string name;   // of the run or file
  std::string label;  // "alice, epoch 12"
  std::int64_t epoch = 0, step = 0;
  bool is_mid_epoch = false, decays_differ = false;
  Json manifest;  // of the run; null where a file is the source
};

StateDict moments_of(const StateDict& all, const std::string& network) {
  StateDict own;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(network + "/")) own.add(name.substr(network.size() + 1), tensor);
  }
  return own;
}

// As a schedule leaves it after `epoch` epochs: the rate of the last one, from which the tools decay further.
TorchAdamSettings settings_after(const OptimizerConfig& config, std::int64_t epoch) {
  const auto decays = static_cast<double>(std::max<std::int64_t>(epoch, 1) - 1);
  return {.lr = config.lr * std::pow(config.lr_decay, decays),
          .initial_lr = config.lr,
          .beta1 = config.beta1,
          .beta2 = config.beta2,
          .eps = config.eps,
          .weight_decay = config.weight_decay};
}

RvcSettings settings_of(const Run& run) {
  if (const auto recipe = run.manifest().value("recipe", "rvc"); recipe != "rvc") {
    fail(ErrorKind::usage, "run '{}' is of recipe {}; only voices have a training checkpoint for the RVC tools",
         run.id(), recipe);
  }
  RvcRecipe recipe;
  auto schema = recipe.schema();
  configure_from_text(schema, run.config_toml(), (run.folder() / "config.toml").string());
  return recipe.settings();
}

TrainingPair pair_of_run(const ModelSource& source) {
  const auto folder = source.file.parent_path();
  verify_checkpoint(*source.checkpoint);
  const auto settings = settings_of(*source.run);
  const auto state = TrainState::from_json(read_file(folder / "state.json"));
  const auto moments = read_model(folder / "optimizer.safetensors").weights;
  TrainingPair pair;
  pair.generator.model = as_rvc_voice(read_model(folder / "model.safetensors"));
  pair.discriminator.model = read_model(folder / "discriminator.safetensors");
  pair.generator.moments = moments_of(moments, "generator");
  pair.discriminator.moments = moments_of(moments, "discriminator");
  pair.generator.optimizer = settings_after(settings.generator_optimizer, state.epochs_done);
  pair.discriminator.optimizer = settings_after(settings.discriminator_optimizer, state.epochs_done);
  const auto& optimizer = settings.generator_optimizer;
  pair.config = {.network = rvc_voice_config(pair.generator.model).network,
                 .learning_rate = optimizer.lr,
                 .lr_decay = optimizer.lr_decay,
                 .beta1 = optimizer.beta1,
                 .beta2 = optimizer.beta2,
                 .eps = optimizer.eps,
                 .mel_weight = settings.losses.mel,
                 .kl_weight = settings.losses.kl,
                 .seed = static_cast<std::int64_t>(settings.trainer.seed)};
  pair.decays_differ = optimizer.lr_decay != settings.discriminator_optimizer.lr_decay;
  pair.name = source.run->name();
  pair.label = source.label;
  pair.epoch = state.epochs_done;
  pair.step = state.step;
  pair.is_mid_epoch = state.batches_done > 0;
  pair.manifest = source.run->manifest();
  return pair;
}

TrainingPair pair_of_file(const fs::path& path, std::int64_t sample_rate_hz) {
  const auto beside = rvc_discriminator_beside(path);
  if (!beside) {
    fail(ErrorKind::checkpoint,
         "no D file lies beside '{}'; a training checkpoint has both networks (G_123.pth and D_123.pth)",
         path.string());
  }
  TrainingPair pair;
  pair.generator = read_rvc_generator(path, sample_rate_hz);
  pair.discriminator = read_rvc_discriminator(*beside);
  const auto& optimizer = pair.generator.optimizer;
  pair.config.network = rvc_voice_config(pair.generator.model).network;
  pair.config.learning_rate = optimizer.initial_lr.value_or(optimizer.lr);
  pair.name = path.stem().string();
  pair.label = path.filename().string();
  pair.epoch = std::max<std::int64_t>(pair.generator.model.epoch, 0);
  for (const auto& [name, tensor] : pair.generator.moments) {
    if (name.ends_with("/step")) pair.step = std::max(pair.step, tensor.item().toLong());
  }
  return pair;
}

// A checkpoint folder is one of a run: that knows the settings.
ModelSource with_run(const ExtractOptions& options, ModelSource source) {
  const auto folder = source.file.parent_path();
  if (source.run || !fs::exists(folder / "DONE")) return source;
  const auto run_folder = fs::absolute(folder).parent_path().parent_path();
  source.run = Run::open(options.workspace, run_folder.string());
  for (auto& entry : list_checkpoints(source.run->checkpoints())) {
    if (entry.folder.filename() == fs::absolute(folder).filename()) source.checkpoint = std::move(entry);
  }
  return source;
}

TrainingPair pair_of(const ExtractOptions& options) {
  auto source = find_model(options.workspace, options.source, options.epoch.empty() ? "last" : options.epoch);
  if (!source.run && !options.epoch.empty()) {
    fail(ErrorKind::usage, "'{}' is one checkpoint; --epoch chooses among those of a run", options.source);
  }
  source = with_run(options, std::move(source));
  if (source.checkpoint) return pair_of_run(source);
  if (!looks_like_pth(source.file)) {
    fail(ErrorKind::usage,
         "'{}' holds one network without optimizer state; a training checkpoint is made of a run, a checkpoint folder "
         "or a G_*.pth file",
         options.source);
  }
  return pair_of_file(source.file, options.sample_rate_hz);
}

// The tools build their discriminators, and Applio its RefineGAN, at one width each.
void warn_about_widths(const TrainingPair& pair, RvcTool tool, EventSink& events) {
  if (const auto misfit = misfit_of_refinegan(pair.config.network); !misfit.empty()) {
    warn(events, fmt::format("{}: it will not load G_{}.pth", misfit, pair.step));
  }
  const auto judges = rvc_discriminator_of_shapes(pair.discriminator.model.weights);
  const auto version = pair.config.network.content_channels == 256 && tool != RvcTool::applio ? "v1" : "v2";
  if (judges == RvcDiscriminatorConfig{.version = version}) return;
  warn(events,
       fmt::format("{} will not load D_{}.pth: it makes discriminators of version {} at full width, and these "
                   "are {} with inner widths divided by {} and {}",
                   name_of(tool), pair.step, version, judges.version, judges.scale_divisor, judges.period_divisor));
}

fs::path output_folder(const ExtractOptions& options, const TrainingPair& pair) {
  if (!options.output.empty()) return options.output;
  return options.workspace / "models" / fmt::format("{}-e{:04}-{}", pair.name, pair.epoch, options.format);
}

// What the tool will do otherwise than the run would have.
void warn_about_differences(const TrainingPair& pair, RvcTool tool, EventSink& events) {
  warn_about_widths(pair, tool, events);
  if (pair.is_mid_epoch) {
    warn(events, fmt::format("the checkpoint is from within epoch {}, which {} will train from its beginning",
                             pair.epoch + 1, name_of(tool)));
  }
  if (pair.decays_differ) {
    warn(events, fmt::format("{} lets both learning rates decay alike, here by {:g} an epoch; the run has another "
                             "lr_decay for the discriminator",
                             name_of(tool), pair.config.lr_decay));
  }
}

// The dataset whose clips become slices, and what is known against its held-out clips as such.
struct SliceSource {
  Dataset dataset;
  std::string held_out_caveat;
};

SliceSource slice_source(const ExtractOptions& options, const TrainingPair& pair, EventSink& events) {
  if (pair.manifest.is_null()) {
    fail(ErrorKind::usage,
         "'{}' is no run: an experiment is made of a run and its dataset. Of networks alone a checkpoint is made: "
         "--format applio-checkpoint or webui-checkpoint",
         options.source);
  }
  const auto path = options.dataset.empty()
                        ? fs::path(pair.manifest.value(Json::json_pointer("/dataset/path"), std::string()))
                        : dataset_path(options.workspace, options.dataset);
  if (!fs::is_regular_file(path)) {
    fail(ErrorKind::data, "'{}' was trained on the dataset '{}', which is not there; say with --dataset where it is",
         pair.name, path.string());
  }
  auto dataset = Dataset::open(path);
  auto caveat = held_out_caveat(pair.manifest, dataset.content_hash());
  if (dataset.content_hash() != pair.manifest.value(Json::json_pointer("/dataset/content_hash"), std::string())) {
    caveat = "the run was trained on another dataset than its held-out recordings are from: it may have heard them";
    warn(events, fmt::format("'{}' is not the dataset that '{}' was trained on, or has changed since", path.string(),
                             pair.name));
  }
  return {std::move(dataset), std::move(caveat)};
}

// A folder that an experiment is written to whole; one that holds anything is left alone.
void require_new_folder(const fs::path& folder) {
  if (!fs::exists(folder) || (fs::is_directory(folder) && fs::is_empty(folder))) return;
  fail(ErrorKind::usage, "'{}' is there already, and an experiment is written to a new folder; name one with --output",
       folder.string());
}

// G_<step>.pth, D_<step>.pth and config.json; names of the files.
std::vector<std::string> write_networks(const fs::path& folder, const TrainingPair& pair, RvcTool tool) {
  const auto g = fmt::format("G_{}.pth", pair.step), d = fmt::format("D_{}.pth", pair.step);
  write_rvc_generator(folder / g, pair.generator, tool);
  write_rvc_discriminator(folder / d, pair.discriminator, tool);
  write_file_atomically(folder / "config.json", to_experiment_json(pair.config));
  return {g, d, "config.json"};
}

WrittenExperiment write_whole_experiment(const fs::path& given, const ExtractOptions& options, const TrainingPair& pair,
                                         RvcTool tool, std::vector<std::string>& files, EventHub& events) {
  const auto folder = fs::absolute(given / ".").lexically_normal().parent_path();  // without a slash at the end
  install_stop_handlers();
  require_new_folder(folder);
  const auto source = slice_source(options, pair, events);
  make_folders(folder.parent_path(), "name another folder with --output");
  WrittenExperiment written;
  write_folder_atomically(folder, [&](const fs::path& temporary) {
    written = write_experiment(temporary, {tool, folder.filename().string(), source.held_out_caveat}, source.dataset,
                               rvc_voice_config(pair.generator.model), events);
    files = write_networks(temporary, pair, tool);
  });
  events.flush();
  return written;
}

void print_checkpoint(const Json& result, const TrainingPair& pair, RvcTool tool) {
  const auto& files = result["files"];
  fmt::print("{}: {} and {} ({:.1f} MB), config.json, from {}\n", result["path"].get<std::string>(),
             files[0].get<std::string>(), files[1].get<std::string>(), result["bytes"].get<double>() / 1e6, pair.label);
  if (result.contains("slices")) {
    fmt::print("  {} slices of {:.0f} s with their features; {} held-out ones in {}, where {} does not look\n",
               result["slices"].get<std::int64_t>(), result["seconds"].get<double>(),
               result["held_out_slices"].get<std::int64_t>(), kHeldOutFolder, name_of(tool));
  }
  fmt::print("  {} trains on from epoch {} with {} logs/NAME\n", name_of(tool),
             pair.epoch + (tool == RvcTool::applio ? 1 : 0),
             result.contains("slices") ? "the folder as" : "them in its experiment folder,");
}

}  // namespace
}  // namespace extract_checkpoint_detail

std::optional<CheckpointFormat> checkpoint_format_named(std::string_view format) {
  constexpr std::array<std::pair<std::string_view, RvcTool>, 3> kTools{
      {{"applio-", RvcTool::applio}, {"webui-old-", RvcTool::webui_old}, {"webui-", RvcTool::webui}}};
  for (const auto& [prefix, tool] : kTools) {
    if (!format.starts_with(prefix)) continue;
    return CheckpointFormat{tool, format.substr(prefix.size()) == "experiment"};
  }
  return std::nullopt;
}

int extract_checkpoint(const ExtractOptions& options, const CheckpointFormat& format) {
  using namespace extract_checkpoint_detail;
  const auto events = console_events();
  const auto tool = format.tool;
  auto pair = with_context(fmt::format("extracting '{}'", options.source),
                           [&] { return extract_checkpoint_detail::pair_of(options); });
  (void)rvc_content_version(pair.config.network);
  warn_about_differences(pair, tool, *events);
  pair.generator.model.epoch = pair.discriminator.model.epoch = pair.epoch;
  const auto folder = output_folder(options, pair);
  std::vector<std::string> files;
  std::optional<WrittenExperiment> written;
  if (format.is_experiment) {
    written = write_whole_experiment(folder, options, pair, tool, files, *events);
  } else {
    make_folders(folder, "name another folder with --output");
    files = write_networks(folder, pair, tool);
  }
  Json result{{"path", folder.string()},
              {"files", files},
              {"bytes", fs::file_size(folder / files[0]) + fs::file_size(folder / files[1])},
              {"format", options.format},
              {"source", pair.label},
              {"epoch", pair.epoch},
              {"step", pair.step},
              {"sample_rate_hz", pair.config.network.sample_rate_hz}};
  if (written) {
    result["slices"] = written->n_slices;
    result["seconds"] = written->seconds;
    result["held_out_slices"] = written->n_held_out;
  }
  if (options.json) {
    fmt::print("{}\n", json_line(result));
  } else {
    print_checkpoint(result, pair, tool);
  }
  return 0;
}

}  // namespace melisma
