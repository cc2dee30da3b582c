#include <CLI/CLI.hpp>
#include <memory>

#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_preview(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<PreviewOptions>();
  app.add_option("folder", options->folder, "a folder of .safetensors and .pth voices")->required();
  app.add_option("-o,--output", options->output, "the page to write")->capture_default_str();
  app.add_option("--input", options->input, "a recording every voice is to say; default: a phrase sung by no one");
  app.add_option("--pitch", options->semitones, "semitones added to the phrase's pitch")
      ->check(CLI::Range(-48.0, 48.0));
  app.add_option("--seed", options->noise_seed, "seed of the voices' noise");
  app.add_flag("--json", options->json, "print JSON");
  return [options, &global] {
    options->workspace = global.workspace;
    return engine(global).preview(*options);
  };
}

}  // namespace melisma
