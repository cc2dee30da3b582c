#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>

#include "tools/base/error.h"
#include "tools/base/table.h"
#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"
#include "tools/config/config.h"

namespace melisma {
namespace {

// Settings as options give them: the file, then shorter ways to say some of them, then name=value.
struct MatchArguments {
  MatchOptions options;
  MatchPresetOptions preset;
  MatchBatchOptions batch;
  std::optional<std::filesystem::path> config;
  std::vector<std::string> overrides, only;
  bool is_exact = false;
  std::optional<double> ceiling, mix, low, high;
};

// Sides of the sound that --only leaves alone unless they are named.
struct Side {
  std::string_view name, setting;
};
constexpr std::array kSides{Side{"spectrum", "improved.spectrum"}, Side{"width", "improved.width"},
                            Side{"dynamics", "improved.dynamics"}, Side{"loudness", "improved.loudness"}};

std::vector<std::string> overrides_of(const MatchArguments& arguments) {
  std::vector<std::string> all;
  if (arguments.is_exact) all.emplace_back("mode=exact");
  for (const auto& name : arguments.only) (void)find_row(kSides, name, "side of a sound", ErrorKind::usage);
  if (!arguments.only.empty()) {
    for (const auto& side : kSides) {
      const bool is_named = std::ranges::find(arguments.only, side.name) != arguments.only.end();
      all.push_back(fmt::format("{}={}", side.setting, is_named ? "1.0" : "0.0"));
    }
  }
  const auto add = [&](const char* setting, const std::optional<double>& value) {
    if (value) all.push_back(fmt::format("improved.{}={:.17g}", setting, *value));
  };
  add("ceiling_dbtp", arguments.ceiling);
  add("mix", arguments.mix);
  add("low_hz", arguments.low);
  add("high_hz", arguments.high);
  all.insert(all.end(), arguments.overrides.begin(), arguments.overrides.end());
  return all;
}

// What does not go with Matchering's own result.
void refuse_with_exact(const MatchArguments& arguments) {
  const bool is_improved =
      !arguments.only.empty() || arguments.ceiling || arguments.mix || arguments.low || arguments.high;
  if (arguments.options.settings.is_exact() && is_improved) {
    fail(ErrorKind::usage,
         "--only, --ceiling, --mix, --low and --high are of mode improved; leave --exact or them out");
  }
}

void add_match_settings(CLI::App& app, MatchArguments& arguments) {
  app.add_flag("--exact", arguments.is_exact, "Matchering 2.0.6's own result, at 44.1 kHz, sample by sample");
  app.add_option("--only", arguments.only,
                 "match only this of the sound: spectrum, width, dynamics or loudness; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--ceiling", arguments.ceiling, "largest true peak in dB; default -1");
  app.add_option("--mix", arguments.mix, "share of the matched sound, the rest is the target; default 1");
  app.add_option("--low", arguments.low, "the spectrum stays as it is below this, in Hz");
  app.add_option("--high", arguments.high, "and above this");
  app.add_option("--config", arguments.config, "TOML file of settings (see melisma config explain match)");
  app.add_option("--set", arguments.overrides, "one setting: name=value, such as improved.dynamics=0.5")
      ->allow_extra_args(false);
}

// The sounds that a recording or a batch gets.
void add_sounds(CLI::App& app, std::vector<std::string>& references, std::vector<std::filesystem::path>& presets,
                std::string& presets_as) {
  app.add_option("--reference", references,
                 "the recording whose sound it gets; several, each with a weight as song.wav=2, become their mean")
      ->allow_extra_args(false);
  app.add_option("--preset", presets, "a preset (see melisma match analyze) instead; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--presets-as", presets_as, "several presets: parallel (one recording of all), sequence or weighted")
      ->capture_default_str();
}

void define_presets(CLI::App& app, MatchPresetOptions& options) {
  auto* analyzer = app.add_subcommand("analyze", "what matching knows of a recording becomes a preset");
  analyzer->add_option("recording", options.inputs, "the reference")->required()->expected(1);
  auto* importer = app.add_subcommand("import", "a preset that matchering_webapp pickled becomes one of these");
  importer->add_option("pickle", options.inputs, "its file; nothing in it is executed")->required()->expected(1);
  importer
      ->add_option("--sample-rate", options.settings.matching.sample_rate_hz,
                   "Hz of its pieces, which the pickle does not tell")
      ->check(CLI::Range(8000, 384000))
      ->capture_default_str();
  for (auto* sub : {analyzer, importer}) {
    sub->add_option("-o,--output", options.output, "the preset to write, .safetensors")->required();
  }
  auto* shower = app.add_subcommand("show", "presets side by side: third octaves, levels, loudness");
  shower->add_option("presets", options.inputs, "their files")->required();
  for (auto* sub : {analyzer, importer, shower}) sub->add_flag("--json", options.json, "print JSON");
}

void define_batch(CLI::App& app, MatchBatchOptions& options) {
  auto* batch = app.add_subcommand("batch", "a folder of songs, or of songs in stems, in the sound of a reference");
  batch->add_option("folder", options.folder, "recordings; with --stems folders, each the stems of a song")->required();
  batch->add_option("-o,--output", options.output, "the folder to write")->required();
  add_sounds(*batch, options.references, options.presets, options.presets_as);
  batch->add_flag("--stems", options.is_stems, "each folder is a song: its stems are matched one by one and added up");
  const auto add = [&](const char* name, std::vector<std::string>& values, const char* help) {
    batch->add_option(name, values, help)->allow_extra_args(false);
  };
  add("--stem", options.stem_references, "a stem's own recording or preset: vocals=file; may be repeated");
  add("--gain", options.gains, "dB of a stem: vocals=-3");
  add("--mute", options.mutes, "a stem that is left out");
  add("--stem-mix", options.mixes, "share of the matched stem, the rest is the stem as it was: vocals=0.5");
  batch->add_option("--master-gain", options.master_gain_db, "dB of the sum")->check(CLI::Range(-60.0, 24.0));
  batch->add_flag("!--no-master-limiter", options.has_master_limiter, "leave the peaks of the sum as they come");
  batch->add_option("--format", options.format, "wav16, wav24, wav32, wav32f, flac, flac16, ogg; default wav16");
  batch->add_option("--jobs", options.jobs, "songs at once; default one a processor")->check(CLI::Range(1, 1024));
  batch->add_option("--memory", options.memory_mb, "MB that songs may take together; default half of the machine's")
      ->check(CLI::Range(1, 1 << 30));
  batch->add_flag("--json", options.json, "print a JSON list, one entry a song");
}

// A recording's options beside a sub-command's: nothing of them would be done.
void require_no_target(const MatchArguments& arguments) {
  const auto& options = arguments.options;
  if (!options.target.empty()) fail(ErrorKind::usage, "'{}' is one word too many", options.target.string());
  if (!options.unlimited.empty() || !options.normalised.empty() || options.explain) {
    fail(ErrorKind::usage, "--unlimited, --normalised and --explain are of melisma match TARGET");
  }
}

}  // namespace

std::function<int()> define_match(CLI::App& app, const GlobalOptions& global) {
  auto arguments = std::make_shared<MatchArguments>();
  auto& options = arguments->options;
  app.require_subcommand(0, 1);
  app.add_option("target", options.target, "the recording to change; one channel or two, up to 15 min");
  add_sounds(app, options.references, options.presets, options.presets_as);
  app.add_option("-o,--output", options.limited, "a file for the result, through the limiter; may be repeated");
  app.add_option("--unlimited", options.unlimited, "a file for the result without limiter, peaks as they come");
  app.add_option("--normalised", options.normalised,
                 "a file for the result without limiter, its peak just below full scale");
  app.add_option("--preview-target", options.preview_target, "the loudest half minute before, for comparison");
  app.add_option("--preview-result", options.preview_result, "the same half minute after");
  app.add_option("--format", options.format,
                 "wav16, wav24, wav32, wav32f, flac, flac16, ogg; default by each output's extension");
  add_match_settings(app, *arguments);
  app.add_flag("--explain", options.explain, "print what was changed: levels, the curve, limiting");
  app.add_flag("--json", options.json, "print what was found and done as JSON");
  define_presets(app, arguments->preset);
  define_batch(app, arguments->batch);
  return [arguments, &app, &global] {
    auto& settings = arguments->options.settings;
    settings.matching.sample_rate_hz = arguments->preset.settings.matching.sample_rate_hz;
    auto schema = schema_of(settings);
    configure(schema, arguments->config, overrides_of(*arguments));
    refuse_with_exact(*arguments);
    arguments->preset.settings = arguments->batch.settings = settings;
    const auto chosen = app.get_subcommands();
    if (chosen.empty()) {
      if (arguments->options.target.empty()) fail(ErrorKind::usage, "target is required; see melisma match --help");
      return engine(global).match(arguments->options);
    }
    require_no_target(*arguments);
    const auto name = chosen.front()->get_name();
    if (name == "batch") return engine(global).match_batch(arguments->batch);
    using Work = MatchPresetOptions::Work;
    arguments->preset.work = name == "analyze" ? Work::analyze : name == "import" ? Work::import_pickled : Work::show;
    return engine(global).match_preset(arguments->preset);
  };
}

}  // namespace melisma
