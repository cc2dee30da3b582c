#include <CLI/CLI.hpp>
#include <memory>

#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_match(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<MatchOptions>();
  app.add_option("target", options->target, "the recording to change; one channel or two, up to 15 min")->required();
  app.add_option("--reference", options->reference, "the recording whose level and spectrum it gets")->required();
  app.add_option("-o,--output", options->limited, "a file for the result, through the limiter; may be repeated");
  app.add_option("--unlimited", options->unlimited, "a file for the result without limiter, peaks as they come");
  app.add_option("--normalised", options->normalised,
                 "a file for the result without limiter, its peak just below full scale");
  app.add_option("--preview-target", options->preview_target, "the loudest half minute before, for comparison");
  app.add_option("--preview-result", options->preview_result, "the same half minute after");
  app.add_option("--format", options->format,
                 "wav16, wav24, wav32, wav32f, flac, flac16, ogg; default by each output's extension");
  app.add_flag("--explain", options->explain, "print what was changed: levels, the curve, limiting");
  app.add_flag("--json", options->json, "print what was found and done as JSON");
  return [options, &global] { return engine(global).match(*options); };
}

}  // namespace melisma
