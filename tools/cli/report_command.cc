#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "experiments/report/report.h"
#include "tools/base/format.h"
#include "tools/cli/commands.h"

namespace melisma {

std::function<int()> define_report(CLI::App& app, const GlobalOptions& global) {
  struct Options {
    ReportOptions report;
    std::filesystem::path output = "report.html";
  };
  auto options = std::make_shared<Options>();
  app.add_option("runs", options->report.runs, "runs of the workspace, or run folders; the first is the subject")
      ->required();
  app.add_option("-o,--output", options->output, "the page to write")->capture_default_str();
  app.add_option("--sound", options->report.sounds, "LABEL=FILE: more audio to listen to; may be given several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--export", options->report.exports, "the quality report (JSON) of exported weights")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--title", options->report.title, "default: the runs' names");
  return [options, &global] {
    options->report.workspace = global.workspace;
    write_report(options->report, options->output);
    fmt::print("{} ({})\n", options->output.string(), format_bytes(std::filesystem::file_size(options->output)));
    return 0;
  };
}

}  // namespace melisma
