#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"
#include "tools/cli/pitch_options.h"
#include "tools/config/config.h"

namespace melisma {
namespace {

struct PitchArguments {
  PitchActionOptions options;
  std::string method;
  std::vector<std::string> set;
};

}  // namespace

std::function<int()> define_pitch(CLI::App& app, const GlobalOptions& global) {
  auto arguments = std::make_shared<PitchArguments>();
  auto& options = arguments->options;
  app.add_option("input", options.input, "a recording, a pitch curve (.csv), or a folder of recordings")->required();
  app.add_option("-o,--output", options.output,
                 "CSV to write (time_s,f0_hz; a line each 10 ms, 0 = unvoiced), or a folder when the input is one; "
                 "without it only the summary is printed");
  app.add_option("--method", arguments->method,
                 fmt::format("how pitch is found: {} (default pyin)", fmt::join(kPitchMethodNames, ", ")));
  app.add_option("--set", arguments->set, "one setting of the method: key=value, such as fmax_hz=800")->take_all();
  app.add_option("--high-pass", options.high_pass_hz,
                 "Hz below which rumble of the recording is left out; 0 = off; default 48, as convert")
      ->check(CLI::Range(0.0, 1000.0));
  app.add_option("--transpose", options.edits.transpose_semitones, "semitones added to the pitch");
  add_pitch_edit_options(app, options.edits);
  app.add_flag("--json", options.json, "print a JSON list, one entry a file");
  return [arguments, &global] {
    if (!arguments->method.empty()) arguments->set.push_back("method=" + arguments->method);
    auto schema = schema_of(arguments->options.config);
    configure(schema, std::nullopt, arguments->set);
    return engine(global).pitch(arguments->options);
  };
}

}  // namespace melisma
