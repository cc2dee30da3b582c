#include <CLI/CLI.hpp>
#include <memory>

#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_index(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<IndexOptions>();
  app.add_option("dataset", options->dataset, "a dataset's name or file")->required();
  app.add_option("-o,--output", options->output, "the .index file to write")->required();
  app.add_option("--speaker", options->speaker, "only clips of this speaker; default all");
  app.add_option("--features", options->features, "hash of the content features, where there are several");
  app.add_option("--seed", options->seed, "seed of the clustering; the same seed gives the same file");
  app.add_flag("--json", options->json, "print JSON");
  return [options, &global] {
    options->workspace = global.workspace;
    return engine(global).build_index(*options);
  };
}

}  // namespace melisma
