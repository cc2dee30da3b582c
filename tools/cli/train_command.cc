#include <CLI/CLI.hpp>
#include <memory>

#include "tools/actions/actions.h"
#include "tools/cli/commands.h"
#include "tools/cli/commit.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_train(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<TrainOptions>();
  options->version = MELISMA_VERSION;
  options->commit = program_commit();
  app.add_option("recipe", options->recipe, "what to train: rvc or mix")->required();
  app.add_option("--dataset", options->dataset, "dataset to train on: a name in the workspace, or a file");
  app.add_option("--config", options->config, "TOML file with settings");
  app.add_option("--set", options->set, "one setting, key.path=value; after the file, as often as needed")
      ->allow_extra_args(false);
  app.add_option("--from", options->from, "model file whose weights training starts with");
  auto* resume =
      app.add_option("--resume", options->resume_run, "go on with a run (the newest if none is named)")->expected(0, 1);
  app.add_option("--resume-epoch", options->resume_epoch, "checkpoint to go on from: last, best or an epoch")
      ->needs(resume)
      ->capture_default_str();
  app.add_option("--name", options->name, "name of the run; the dataset's if left out");
  app.add_option("--epochs", options->epochs, "epochs to train at most, instead of the settings'")
      ->check(CLI::PositiveNumber);
  app.add_option("--processes", options->processes, "ranks to start on this machine, which share every batch")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--interface", options->interface, "network interface that ranks exchange gradients through");
  return [options, resume, &global] {
    options->is_resume = resume->count() > 0;
    options->workspace = global.workspace;
    return engine(global).train(*options);
  };
}

}  // namespace melisma
