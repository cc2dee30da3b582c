#include <CLI/CLI.hpp>
#include <memory>

#include "tools/actions/actions.h"
#include "tools/cli/commands.h"
#include "tools/cli/commit.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_import(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<ImportOptions>();
  options->version = MELISMA_VERSION;
  options->commit = program_commit();
  app.add_option("folder", options->folder, "experiment folder of Applio or RVC-WebUI: logs/NAME")->required();
  app.add_option("--name", options->name, "name of the dataset and the run; the folder's if left out");
  app.add_option("--validation-share", options->validation_share, "share of the recordings held out for validation")
      ->check(CLI::Range(0.0, 0.5))
      ->capture_default_str();
  app.add_option("--test-share", options->test_share, "share of the recordings held out for the final test")
      ->check(CLI::Range(0.0, 0.5))
      ->capture_default_str();
  app.add_option("--seed", options->seed, "chooses which recordings are held out")->capture_default_str();
  app.add_option("--sample-rate", options->sample_rate_hz,
                 "in Hz, of a RefineGAN voice whose folder has no config.json")
      ->check(CLI::PositiveNumber);
  app.add_flag("--force", options->force, "replace a dataset of that name");
  app.add_flag("--json", options->json, "print JSON");
  return [options, &global] {
    options->workspace = global.workspace;
    return engine(global).import_experiment(*options);
  };
}

}  // namespace melisma
