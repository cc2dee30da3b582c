#include <CLI/CLI.hpp>
#include <memory>

#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_compare(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<CompareOptions>();
  app.add_option("model", options->model, "a run, a model file or a checkpoint folder")->required();
  app.add_option("other", options->other, "what it is compared with")->required();
  app.add_option("--epoch", options->epoch, "of runs: best, last or a number")->capture_default_str();
  app.add_option("--dataset", options->dataset, "a dataset whose held-out clips both speak; default: weights only");
  app.add_option("--split", options->split, "validation, or test, whose opening the dataset keeps on record")
      ->capture_default_str();
  app.add_option("--metrics", options->metrics, "names, separated by commas; default: all that say something of voices")
      ->delimiter(',');
  app.add_option("--clips", options->max_clips, "measure only so many clips, spread over the split; 0 = all")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seed", options->seed, "seed of the attention probe and of the noise");
  app.add_flag("--json", options->json, "print JSON");
  return [options, &global] {
    options->workspace = global.workspace;
    return engine(global).compare(*options);
  };
}

}  // namespace melisma
