#include <CLI/CLI.hpp>
#include <memory>

#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_inspect(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<InspectOptions>();
  app.add_option("subject", options->subject, "a model file, run, checkpoint folder, feature index or audio file")
      ->required();
  app.add_option("--epoch", options->epoch, "of a run: best, last or a number");
  app.add_flag("--json", options->json, "print JSON");
  return [options, &global] {
    options->workspace = global.workspace;
    return engine(global).inspect(*options);
  };
}

}  // namespace melisma
