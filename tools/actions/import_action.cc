#include "tools/actions/import_action.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "infer/features/content.h"
#include "infer/features/pitch.h"
#include "tools/actions/console.h"
#include "tools/actions/import_run.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"
#include "tools/base/stop.h"
#include "train/import/import_dataset.h"
#include "train/prepare/report.h"

namespace melisma {
namespace import_action_detail {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Everything there is to say at the end.
struct Outcome {
  PrepareReport dataset;
  std::optional<ImportedCheckpoint> checkpoint;
  std::optional<Run> run;
  std::vector<std::string> problems;  // with checkpoints
  std::string why_no_run;
};

std::string held_out_text(const ExperimentFolder& experiment) {
  if (!experiment.held_out_caveat.empty()) return experiment.held_out_caveat;
  return fmt::format("{} slices in {}, where the tool does not look", experiment.n_held_out(), kHeldOutFolder);
}

void check_has_slices(const ExperimentFolder& experiment) {
  if (!experiment.slices.empty()) return;
  const auto file = experiment.generators.back().string();
  fail(ErrorKind::data,
       "'{}' has checkpoints but no slices, and a run needs recordings. With a dataset of your own start from the "
       "weights: melisma train rvc --dataset NAME --from '{}'. For the voice itself: melisma extract '{}'",
       experiment.folder.string(), file, file);
}

PrepareReport dataset_of(const ImportOptions& options, const ExperimentFolder& experiment,
                         const std::optional<ImportedCheckpoint>& checkpoint, EventSink& events) {
  const auto width = content_width_of(experiment);
  return import_dataset(experiment,
                        {.dataset = options.workspace / "datasets" / (options.name + ".h5"),
                         .voice = options.name,
                         .tool_version = options.version,
                         .pitch = key_of(PitchConfig{.method = std::string(kImportedPitch)}),
                         .content = key_of(content_of_experiment(experiment, width)),
                         .content_width = width,
                         .sample_rate_hz = checkpoint ? checkpoint->config.network.sample_rate_hz : 0,
                         .validation_share = options.validation_share,
                         .test_share = options.test_share,
                         .seed = options.seed,
                         .force = options.force},
                        events);
}

// Makes the run, or says why there is none.
void add_run(const ImportOptions& options, const ExperimentFolder& experiment, Outcome& outcome) {
  if (!outcome.checkpoint) {
    outcome.why_no_run = experiment.generators.empty() ? "the folder has no G_*.pth" : "no checkpoint can be used";
    return;
  }
  if (outcome.dataset.outcome != "written") {
    outcome.why_no_run = "no slice can be used";
    return;
  }
  const auto& checkpoint = *outcome.checkpoint;
  if (experiment.n_speakers() > checkpoint.config.network.speakers) {
    outcome.why_no_run = fmt::format("the slices are of {} speakers, the checkpoint has {}", experiment.n_speakers(),
                                     checkpoint.config.network.speakers);
    outcome.problems.push_back(outcome.why_no_run);
    return;
  }
  try {
    outcome.run = make_imported_run(options, experiment, checkpoint, outcome.dataset.dataset);
  } catch (const Error& error) {
    outcome.why_no_run = error.what();
    outcome.problems.push_back(outcome.why_no_run);
  }
}

std::string text_of(const Outcome& outcome, const ImportOptions& options, const ExperimentFolder& experiment) {
  auto text = melisma::text_of(outcome.dataset);
  if (experiment.n_fillers > 0) {
    text += fmt::format("left out: {} silent fillers (mute) that filelist.txt names\n", experiment.n_fillers);
  }
  for (const auto& problem : outcome.problems) text += fmt::format("checkpoint: {}\n", problem);
  if (!outcome.run) {
    text += fmt::format("no run: {}\n", outcome.why_no_run);
    if (outcome.dataset.outcome != "written") return text;
    return text +
           fmt::format("next: melisma train rvc --dataset {} --set pitch.method={} --set content.method=hubert\n",
                       options.name, kImportedPitch);
  }
  const auto& checkpoint = *outcome.checkpoint;
  text += fmt::format("run {}: {} and {} after epoch {}, step {}, {} optimizer state\n", outcome.run->id(),
                      checkpoint.generator_path.filename().string(), checkpoint.discriminator_path.filename().string(),
                      checkpoint.epoch, checkpoint.step, checkpoint.generator.has_moments ? "with" : "without");
  text += fmt::format("held out: {}\n", held_out_text(experiment));
  return text +
         fmt::format("next: melisma train rvc --resume {} --epochs {}\n", outcome.run->name(), checkpoint.epoch + 100);
}

Json json_of(const Outcome& outcome, const ExperimentFolder& experiment) {
  Json json{{"tool", experiment.layout->tool},
            {"dataset", melisma::json_of(outcome.dataset)},
            {"fillers_left_out", experiment.n_fillers},
            {"problems", outcome.problems},
            {"run", nullptr}};
  if (!outcome.run) {
    json["no_run"] = outcome.why_no_run;
    return json;
  }
  const auto& checkpoint = *outcome.checkpoint;
  json["run"] = {{"id", outcome.run->id()},
                 {"folder", outcome.run->folder().string()},
                 {"generator", checkpoint.generator_path.string()},
                 {"discriminator", checkpoint.discriminator_path.string()},
                 {"epoch", checkpoint.epoch},
                 {"step", checkpoint.step},
                 {"optimizer_state", checkpoint.generator.has_moments},
                 {"caveat", experiment.held_out_caveat}};
  return json;
}

}  // namespace
}  // namespace import_action_detail

int import_experiment(const ImportOptions& given) {
  using namespace import_action_detail;
  install_stop_handlers();
  const auto events = console_events();
  auto options = given;
  if (options.name.empty())
    options.name = fs::absolute(options.folder / ".").lexically_normal().parent_path().filename();
  const auto experiment = look_at_experiment(options.folder);
  check_has_slices(experiment);
  Outcome outcome;
  outcome.checkpoint = newest_checkpoint(experiment, options.sample_rate_hz, outcome.problems);
  outcome.dataset = dataset_of(options, experiment, outcome.checkpoint, *events);
  add_run(options, experiment, outcome);
  events->flush();
  if (options.json) {
    fmt::print("{}\n", json_text(json_of(outcome, experiment)));
  } else {
    fmt::print("{}", text_of(outcome, options, experiment));
  }
  return outcome.problems.empty() ? outcome.dataset.exit_code() : 3;
}

}  // namespace melisma
