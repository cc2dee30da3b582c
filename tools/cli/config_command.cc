#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "data/effects/effects.h"
#include "experiments/sweeps/sweep_file.h"
#include "tools/base/error.h"
#include "tools/base/table.h"
#include "tools/cli/commands.h"
#include "tools/cli/settings_table.h"
#include "tools/config/config.h"

namespace melisma {
namespace {

struct ConfigOptions {
  std::string task = "rvc", setting;
  std::filesystem::path file;
  std::vector<std::string> overrides;
};

// The settings called `name` or inside the section `name`; all of them for "".
Schema chosen_settings(Schema schema, const std::string& name) {
  if (name.empty()) return schema;
  Schema chosen;
  std::vector<std::string> known;
  for (auto& setting : schema) {
    for (auto dot = setting.path.find('.'); dot != std::string::npos; dot = setting.path.find('.', dot + 1)) {
      const auto section = setting.path.substr(0, dot);
      if (known.empty() || known.back() != section) known.push_back(section);
    }
    known.push_back(setting.path);
    if (setting.path == name || setting.path.starts_with(name + ".")) chosen.push_back(setting);
  }
  if (!chosen.empty()) return chosen;
  const auto near = nearest_names(name, known);
  fail(ErrorKind::usage, "unknown setting '{}'{}", name,
       near.empty() ? "; without a name all are explained"
                    : fmt::format("; did you mean '{}'?", fmt::join(near, "' or '")));
}

int explain_settings(const ConfigOptions& options) {
  const auto settings = find_row(kSettingsOfTasks, options.task, "task", ErrorKind::usage).make();
  fmt::print("{}", explain(chosen_settings(settings->schema(), options.setting)));
  return 0;
}

// A chain is no table of settings but a list of them.
int check_chain(const ConfigOptions& options) {
  if (!options.overrides.empty()) fail(ErrorKind::usage, "--set does not go with a chain of effects; edit the file");
  const auto chain = EffectChain::read(options.file);
  fmt::print("'{}' is fine for effects: {}\n", options.file.string(), fmt::join(chain.names(), ", "));
  return 0;
}

// What varies is checked with the recipe that it belongs to: when the sweep is run.
int check_sweep(const ConfigOptions& options) {
  const auto sweep = read_sweep_file(options.file, options.overrides);
  std::vector<std::string> varied;
  for (const auto& key : sweep.keys) varied.push_back(key.path);
  fmt::print("'{}' is fine for sweep: {} over {}\n", options.file.string(), sweep.config.method,
             fmt::join(varied, ", "));
  return 0;
}

int check_file(const ConfigOptions& options) {
  if (options.task == "effects") return check_chain(options);
  if (options.task == "sweep") return check_sweep(options);
  const auto& row = find_row(kSettingsOfTasks, options.task, "task", ErrorKind::usage);
  const auto settings = row.make(), defaults = row.make();
  auto schema = settings->schema();
  configure(schema, options.file, options.overrides);
  const auto found = differences(defaults->schema(), schema);
  fmt::print("'{}' is fine for {}; {} from the defaults{}\n", options.file.string(), row.name,
             found.size() == 1 ? "1 setting differs" : fmt::format("{} settings differ", found.size()),
             found.empty() ? "" : ":");
  for (const auto& [path, before, after] : found) fmt::print("  {} = {}  (default {})\n", path, after, before);
  return 0;
}

}  // namespace

std::function<int()> define_config(CLI::App& app, const GlobalOptions&) {
  auto options = std::make_shared<ConfigOptions>();
  auto* explained = app.add_subcommand("explain", "each setting of a task: default, what it takes, what it means");
  auto* checked = app.add_subcommand("check", "read a settings file, report every problem, say what it changes");
  auto* reference = app.add_subcommand("reference", "the Markdown page of every setting");
  app.require_subcommand(1);
  explained->add_option("task", options->task, "prepare, rvc, mix, effects, match, jobs or sweep")->required();
  explained->add_option("setting", options->setting, "only this one, or this section");
  checked->add_option("file", options->file, "a TOML file")->required();
  checked->add_option("--task", options->task, "whose settings they are")->capture_default_str();
  checked->add_option("--set", options->overrides, "name=value, after the file")->allow_extra_args(false);
  return [options, explained, checked, reference] {
    if (explained->parsed()) return explain_settings(*options);
    if (checked->parsed()) return check_file(*options);
    fmt::print("{}", settings_reference());
    return reference->parsed() ? 0 : 2;
  };
}

}  // namespace melisma
