#include <CLI/CLI.hpp>
#include <memory>

#include "tools/actions/actions.h"
#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_bench(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<BenchOptions>();
  app.add_option("name", options->name, "which benchmark")->required();
  app.add_option("--repeats", options->repeats, "measured runs; 0 = the benchmark's own choice");
  app.add_option("--python", options->python, "interpreter with librosa, soxr, scipy and soundfile, to compare with")
      ->capture_default_str();
  app.add_flag("--quick", options->quick, "smaller inputs: for a look, not for numbers to quote");
  app.add_flag("--ablate", options->ablate, "rvc-step: what each economy of the step is worth as well");
  app.add_flag("--json", options->json, "print JSON");
  return [options, &global] { return engine(global).bench(*options); };
}

}  // namespace melisma
