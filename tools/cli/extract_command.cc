#include <CLI/CLI.hpp>
#include <memory>

#include "tools/actions/actions.h"
#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_extract(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<ExtractOptions>();
  app.add_option("model", options->source, "run, run folder, checkpoint folder, .safetensors or .pth file")->required();
  app.add_option("--epoch", options->epoch,
                 "checkpoint of a run: best (default; last for a training checkpoint), last, or an epoch");
  app.add_option("--dtype", options->dtype, "fp32, fp16, bf16 or int8")->capture_default_str();
  app.add_option(
         "--format", options->format,
         "safetensors; pth, a voice for Applio and RVC-WebUI; applio-checkpoint or webui-checkpoint, from which "
         "these train on; applio-experiment or webui-experiment, a checkpoint with slices and features; webui-old-... "
         "for RVC-WebUI before it was rewritten, which crashes on the newer order of v2's optimizer")
      ->capture_default_str();
  app.add_flag("--fold", options->fold, "fold weight norm into plain weights (int8 always does)");
  app.add_option("-o,--output", options->output,
                 "file to write (folder of a training checkpoint); default: in the workspace's models folder");
  app.add_option("--dataset", options->dataset,
                 "dataset whose held-out clips the quality report listens to, or whose clips become slices");
  app.add_option("--report-clips", options->report_clips, "held-out clips compared; 0 = all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--sample-rate", options->sample_rate_hz,
                 "in Hz, of a RefineGAN checkpoint without the config.json of its experiment")
      ->check(CLI::PositiveNumber);
  app.add_flag("--json", options->json, "print the result as JSON");
  return [options, &global] {
    options->workspace = global.workspace;
    return engine(global).extract(*options);
  };
}

}  // namespace melisma
