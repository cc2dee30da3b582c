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

}  // namespace

std::function<int()> define_match(CLI::App& app, const GlobalOptions& global) {
  auto arguments = std::make_shared<MatchArguments>();
  auto& options = arguments->options;
  app.add_option("target", options.target, "the recording to change; one channel or two, up to 15 min")->required();
  app.add_option("--reference", options.references,
                 "the recording whose sound it gets; several, each with a weight as song.wav=2, become their mean")
      ->allow_extra_args(false);
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
  return [arguments, &global] {
    auto schema = schema_of(arguments->options.settings);
    configure(schema, arguments->config, overrides_of(*arguments));
    refuse_with_exact(*arguments);
    return engine(global).match(arguments->options);
  };
}

}  // namespace melisma
