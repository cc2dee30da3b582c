#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "infer/features/pitch_config.h"
#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"
#include "tools/cli/pitch_options.h"

namespace melisma {

std::function<int()> define_convert(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<ConvertActionOptions>();
  app.add_option("model", options->model, "a model file, a run (its best epoch) or a checkpoint folder")->required();
  app.add_option("input", options->input, "an audio file, or a folder of them")->required();
  app.add_option("-o,--output", options->output, "the file to write, or a folder when the input is one")->required();
  app.add_option("--pitch", options->pitch.transpose_semitones, "semitones added to the pitch")
      ->check(CLI::Range(-48.0, 48.0));
  add_pitch_edit_options(app, options->pitch);
  app.add_option("--f0-file", options->curves,
                 "pitch curve to follow (CSV, see melisma pitch), or a folder of them for a folder of recordings");
  auto method = std::make_shared<std::string>();
  app.add_option(
      "--f0-method", *method,
      fmt::format("how pitch is heard: {}, or several as \"median(rmvpe, pyin)\" (default as the voice's training)",
                  fmt::join(kPitchMethodNames, ", ")));
  app.add_option("--f0-set", options->pitch_settings, "one setting of it: key=value, such as fmax_hz=800")->take_all();
  app.add_option(
      "--speaker", options->speaker,
      "name or number of the voice's speaker, or several with weights: mara:0.7,joel:0.3; default the first");
  app.add_option("--sample-rate", options->sample_rate_hz, "output rate in Hz; default the voice's own")
      ->check(CLI::Range(1000, 384000));
  app.add_option("--format", options->format, "wav16, wav24, wav32, wav32f, flac, flac16, ogg; default by extension");
  app.add_option("--high-pass", options->high_pass_hz,
                 "Hz below which rumble of the recording is left out; 0 = off; default 48, as the RVC tools")
      ->check(CLI::Range(0.0, 1000.0));
  app.add_option("--clean", options->clean,
                 "share of the recording's steady noise left out before it is heard; 0 = none")
      ->check(CLI::Range(0.0, 1.0));
  app.add_flag("--split", options->split_at_silence,
               "convert only what lies between silences; they become exactly silent");
  app.add_option("--formant", options->formant_ratio,
                 "formant frequencies times this, the pitch stays; above 1 as of a smaller speaker")
      ->check(CLI::Range(0.4, 2.5));
  app.add_option("--volume-envelope", options->volume_envelope,
                 "loudness over time: 1 = the voice's own, 0 = the recording's, as the RVC tools")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--mix", options->mix, "share of the voice in the output, the rest is the recording")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--effects", options->effects,
                 "sound effects after conversion: a TOML file of [[effect]] tables (see melisma effects)");
  app.add_flag("--match-loudness", options->match_loudness, "make the output as loud as the recording (LUFS)");
  app.add_option("--index", options->index, "the voice's feature index: what it says is drawn towards its recordings");
  app.add_option("--index-rate", options->index_rate, "share of the index's features; 0 = none")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--protect", options->protect,
                 "how much of the index's change consonants and breath take; 0.5 = all of it")
      ->check(CLI::Range(0.0, 0.5));
  app.add_option("--content-weights", options->content_weights,
                 "weights of the HuBERT the voice was trained on, if it was; default those of the voice's SHA-256 in "
                 "the folder of weights");
  app.add_option("--seed", options->noise_seed, "seed of the noise; the same seed gives the same file");
  app.add_option("--noise-scale", options->noise_scale, "spread of the latent noise; 0 = none")
      ->check(CLI::Range(0.0, 2.0));
  app.add_option("--chunk", options->chunk_seconds, "seconds decoded at a time: memory, not the result")
      ->check(CLI::Range(1, 600));
  app.add_option("--device", options->device,
                 "where the networks are: cpu, cuda (every GPU, the files of a folder shared out), cuda:1, several as "
                 "cuda:0,cuda:2, or auto (GPUs if there are some)")
      ->capture_default_str();
  app.add_flag("--json", options->json, "print a JSON list, one entry a file");
  return [options, method, &global] {
    if (!method->empty()) options->pitch_settings.push_back("method=" + *method);
    options->workspace = global.workspace;
    return engine(global).convert(*options);
  };
}

}  // namespace melisma
