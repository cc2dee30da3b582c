#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "experiments/runs/run.h"
#include "tools/base/console_sink.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/json_text.h"
#include "tools/base/metrics_file.h"
#include "tools/base/text_table.h"
#include "tools/cli/commands.h"
#include "tools/config/flat_toml.h"

namespace melisma {
namespace {
using Json = nlohmann::ordered_json;

struct RunsOptions {
  bool json = false;
  std::string first, second;
};

// A run whose status.json is damaged is listed as such: one bad file hides no other run.
RunStatus readable_status(const Run& run) {
  try {
    return run.status();
  } catch (const Error& error) {
    RunStatus status;
    status.state = "damaged";
    status.reason = error.message();
    return status;
  }
}

std::string best_of(const RunStatus& status) {
  if (status.best_epoch == 0) return "-";
  return fmt::format("{} at epoch {}", format_value(status.best_score), status.best_epoch);
}

int list_runs(const GlobalOptions& global, const RunsOptions& options) {
  const auto runs = Run::list(global.workspace);
  if (options.json) {
    auto array = Json::array();
    for (const auto& run : runs) {
      array.push_back({{"id", run.id()},
                       {"name", run.name()},
                       {"folder", run.folder().string()},
                       {"status", to_json(readable_status(run))}});
    }
    fmt::print("{}\n", json_text(array));
    return 0;
  }
  if (runs.empty()) {
    fmt::print("no runs in '{}' yet; melisma train makes one\n", global.workspace.string());
    return 0;
  }
  std::vector<std::vector<std::string>> rows{{"run", "state", "epoch", "step", "best", "metric", "updated"}};
  for (const auto& run : runs) {
    const auto status = readable_status(run);
    rows.push_back({run.id(), status.state, fmt::format("{}", status.epoch), fmt::format("{}", status.step),
                    best_of(status), status.metric, status.updated_utc});
  }
  fmt::print("{}", text_table(rows));
  return 0;
}

// Complete checkpoints by name: those with their DONE marker.
std::vector<std::string> checkpoints_of(const Run& run) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(run.checkpoints(), ignored)) {
    if (std::filesystem::exists(entry.path() / "DONE")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The latest scalars of a phase, or nothing.
std::optional<MetricsLine> latest(const std::vector<MetricsLine>& lines, std::string_view phase) {
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (line->kind == "scalars" && line->phase == phase) return *line;
  }
  return std::nullopt;
}

Json json_of_line(const std::optional<MetricsLine>& line) {
  if (!line) return nullptr;
  auto values = Json::object();
  for (const auto& [name, value] : line->values) values[name] = value;
  return {{"time", line->time}, {"step", line->step}, {"epoch", line->epoch}, {"values", std::move(values)}};
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

// "argv" first said as one line; nested objects as dotted names.
void add_manifest_rows(const Json& object, const std::string& prefix, std::vector<std::vector<std::string>>& rows) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      add_manifest_rows(value, prefix + key + ".", rows);
    } else {
      rows.push_back({prefix + key, text_of(value)});
    }
  }
}

int show_run(const GlobalOptions& global, const RunsOptions& options) {
  const auto run = Run::open(global.workspace, options.first);
  const auto status = readable_status(run);
  const auto lines = read_metrics_file(run.metrics());
  const auto training = latest(lines, "train"), validation = latest(lines, "validation");
  if (options.json) {
    auto settings = Json::object();
    for (const auto& setting : flatten_toml(run.config_toml(), "config.toml")) settings[setting.path] = setting.value;
    const Json shown{{"id", run.id()},
                     {"name", run.name()},
                     {"folder", run.folder().string()},
                     {"status", to_json(status)},
                     {"checkpoints", checkpoints_of(run)},
                     {"latest", {{"train", json_of_line(training)}, {"validation", json_of_line(validation)}}},
                     {"settings", std::move(settings)},
                     {"manifest", run.manifest()}};
    fmt::print("{}\n", json_text(shown));
    return 0;
  }
  std::vector<std::vector<std::string>> rows{
      {"run", run.id()},
      {"folder", run.folder().string()},
      {"state", status.state + (status.reason.empty() ? "" : ": " + status.reason)},
      {"reached", fmt::format("epoch {}, step {}", status.epoch, status.step)},
      {"best", best_of(status) + (status.metric.empty() ? "" : ", " + status.metric)},
      {"started", status.started_utc},
      {"updated", status.updated_utc},
      {"checkpoints", fmt::format("{}", fmt::join(checkpoints_of(run), ", "))}};
  for (const auto& line : {training, validation}) {
    if (!line) continue;
    std::string values;
    for (const auto& [name, value] : line->values) values += fmt::format(" {} {}", name, format_value(value));
    rows.push_back({line->phase, fmt::format("step {}:{}", line->step, values)});
  }
  add_manifest_rows(run.manifest(), "", rows);
  fmt::print("{}", text_table(rows));
  return 0;
}

struct ComparedRuns {
  std::vector<SettingDifference> settings, manifest;
};

std::vector<FlatSetting> flat_manifest(const Run& run) {
  std::vector<std::vector<std::string>> rows;
  add_manifest_rows(run.manifest(), "", rows);
  std::vector<FlatSetting> flat;
  for (const auto& row : rows) flat.push_back({row[0], row[1]});
  return flat;
}

Json json_of(const std::vector<SettingDifference>& differences) {
  auto array = Json::array();
  for (const auto& [path, left, right] : differences) {
    array.push_back({{"path", path}, {"left", left}, {"right", right}});
  }
  return array;
}

int diff_runs(const GlobalOptions& global, const RunsOptions& options) {
  const auto left = Run::open(global.workspace, options.first), right = Run::open(global.workspace, options.second);
  const auto left_status = readable_status(left), right_status = readable_status(right);
  const ComparedRuns compared{.settings = differences(flatten_toml(left.config_toml(), left.id() + "/config.toml"),
                                                      flatten_toml(right.config_toml(), right.id() + "/config.toml")),
                              .manifest = differences(flat_manifest(left), flat_manifest(right))};
  if (options.json) {
    const Json shown{{"left", {{"id", left.id()}, {"status", to_json(left_status)}}},
                     {"right", {{"id", right.id()}, {"status", to_json(right_status)}}},
                     {"settings", json_of(compared.settings)},
                     {"manifest", json_of(compared.manifest)}};
    fmt::print("{}\n", json_text(shown));
    return 0;
  }
  const auto or_dash = [](const std::string& text) { return text.empty() ? std::string("-") : text; };
  std::vector<std::vector<std::string>> rows{{"setting", left.id(), right.id()}};
  for (const auto& [path, a, b] : compared.settings) rows.push_back({path, or_dash(a), or_dash(b)});
  if (compared.settings.empty()) rows.push_back({"(all the same)"});
  rows.push_back({"state", left_status.state, right_status.state});
  rows.push_back({"best " + left_status.metric, best_of(left_status), best_of(right_status)});
  for (const auto& [path, a, b] : compared.manifest) rows.push_back({path, or_dash(a), or_dash(b)});
  fmt::print("{}", text_table(rows));
  return 0;
}

}  // namespace

std::function<int()> define_runs(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<RunsOptions>();
  auto* list = app.add_subcommand("list", "all runs of the workspace, newest first");
  auto* show = app.add_subcommand("show", "everything known about one run");
  auto* diff = app.add_subcommand("diff", "settings, circumstances and scores in which two runs differ");
  app.require_subcommand(1);
  for (auto* sub : {list, show, diff}) sub->add_flag("--json", options->json, "print JSON");
  show->add_option("run", options->first, "name, name-signature or folder")->required();
  diff->add_option("left", options->first, "name, name-signature or folder")->required();
  diff->add_option("right", options->second, "the run to compare it with")->required();
  return [options, &global, list, show] {
    if (list->parsed()) return list_runs(global, *options);
    return show->parsed() ? show_run(global, *options) : diff_runs(global, *options);
  };
}

}  // namespace melisma
