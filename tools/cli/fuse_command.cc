#include <CLI/CLI.hpp>
#include <memory>

#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_fuse(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<FuseOptions>();
  app.add_option("models", options->models, "model files, runs (their best epoch) or checkpoint folders")->required();
  app.add_option("-o,--output", options->output, "the .safetensors or .pth file to write")->required();
  app.add_option("--weights", options->weights,
                 "one a model, separated by commas; default equal ones; one number t for two models is 1-t,t. Of "
                 "add-difference: the w of A + w (B - C)")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--method", options->method, "sum, add-difference, slerp, karcher or ties")->capture_default_str();
  app.add_option("--part", options->parts,
                 "PART=WEIGHTS: weights of its own for text, flow, decoder or speaker; may be given several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--on", options->on,
                 "effective: weights as they sound; raw: norm and direction each for itself, as the RVC tools")
      ->capture_default_str();
  app.add_flag("--as-given", options->as_given, "do not make the weights sum to 1");
  app.add_option("--density", options->density, "of ties: share of what each model learned that is kept")
      ->check(CLI::Range(1e-6, 1.0))
      ->capture_default_str();
  app.add_option("--index", options->indexes,
                 "the models' feature indexes in their order, separated by commas: fused beside the output")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--seed", options->seed, "seed of the choice among the indexes' vectors");
  app.add_option("--dtype", options->dtype, "fp32, fp16, bf16 or int8")->capture_default_str();
  app.add_flag(
      "--for-training", options->for_training,
      "keep the posterior encoder, so that train --from can start from the result; of runs, checkpoints, G files");
  app.add_flag("--json", options->json, "print JSON");
  return [options, &global] {
    options->workspace = global.workspace;
    return engine(global).fuse(*options);
  };
}

}  // namespace melisma
