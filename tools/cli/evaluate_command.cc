#include <CLI/CLI.hpp>
#include <memory>

#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_evaluate(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<EvaluateOptions>();
  app.add_option("model", options->model, "a run, a model file or a checkpoint folder")->required();
  app.add_option("--dataset", options->dataset, "a dataset of the workspace, or a path")->required();
  app.add_option("--split", options->split, "validation, or test, whose opening the dataset keeps on record")
      ->capture_default_str();
  app.add_option("--epoch", options->epoch, "of a run: best, last or a number")->capture_default_str();
  app.add_option("--metrics", options->metrics, "names, separated by commas; default: all that say something of voices")
      ->delimiter(',');
  app.add_option("--clips", options->max_clips, "measure only so many clips, spread over the split; 0 = all")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--examples", options->examples, "recordings whose audio is kept for the report")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--seed", options->noise_seed, "seed of the noise and of the untrained weights");
  app.add_option("--device", options->device, "where the voice is: cpu, cuda, cuda:1, or auto (a GPU if there is one)")
      ->capture_default_str();
  app.add_flag("--json", options->json, "print JSON");
  app.add_option("-o,--output", options->output, "also write the JSON there");
  return [options, &global] {
    options->workspace = global.workspace;
    return engine(global).evaluate(*options);
  };
}

}  // namespace melisma
