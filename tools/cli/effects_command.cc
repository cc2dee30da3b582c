#include <CLI/CLI.hpp>
#include <memory>

#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_effects(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<EffectsOptions>();
  app.add_option("input", options->input, "an audio file, or a folder of them; all channels are kept")->required();
  app.add_option("-o,--output", options->output, "the file to write, or a folder when the input is one")->required();
  app.add_option("--chain", options->chain,
                 "a TOML file of [[effect]] tables, each with a name and settings, in order; melisma config explain "
                 "effects lists them")
      ->required();
  app.add_option("--format", options->format, "wav16, wav24, wav32, wav32f, flac, flac16, ogg; default by extension");
  app.add_flag("--json", options->json, "print a JSON list, one entry a file");
  return [options, &global] { return engine(global).effects(*options); };
}

}  // namespace melisma
