#include <CLI/CLI.hpp>
#include <memory>

#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_mix(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<MixOptions>();
  app.add_option("stems", options->stems,
                 "the tracks of one song, of one channel or two; each is called as its file is")
      ->required();
  app.add_option("-o,--output", options->output, "the file for the mix")->required();
  app.add_option("--model", options->model,
                 "a run or model file that mixes; without one, stems are made equally loud and the mix -16 LUFS");
  app.add_option("--which", options->which, "checkpoint of a run: best, last or an epoch")->capture_default_str();
  app.add_option("--reference", options->reference, "a finished song to sound like, for models that listen to one");
  app.add_option(
         "--set", options->set,
         "one parameter: vocals.fader_db=-3 sets it, vocals.fader_db+=2 adds to it; also master.NAME and all.NAME")
      ->allow_extra_args(false);
  app.add_option("--sheet", options->sheet, "a JSON file for every parameter of the mix");
  app.add_option("--optimize", options->optimize, "reference: descend until the mix has the reference's features");
  app.add_option("--steps", options->steps, "steps of --optimize")->check(CLI::Range(1, 100000))->capture_default_str();
  app.add_option("--loudness", options->lufs, "integrated loudness of the mix in LUFS, such as -14")
      ->check(CLI::Range(-70.0, 0.0));
  app.add_option("--format", options->format,
                 "wav16, wav24, wav32, wav32f, flac, flac16, ogg; default by the output's extension");
  app.add_flag("--json", options->json, "print what was made, with every parameter, as JSON");
  return [options, &global] {
    options->workspace = global.workspace;
    return engine(global).mix(*options);
  };
}

}  // namespace melisma
