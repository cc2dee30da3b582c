#include "experiments/runs/run.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "experiments/runs/job_note.h"
#include "experiments/runs/run_name.h"
#include "tools/base/atomic_file.h"
#include "tools/base/clock.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"
#include "tools/base/table.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

bool is_run_folder(const fs::path& folder) {
  return fs::is_regular_file(folder / "config.toml") && fs::is_regular_file(folder / "manifest.json");
}

std::string name_in_id(const std::string& id) { return id.substr(0, id.rfind('-')); }

RunStatus status_from(const Json& object) {
  RunStatus status;
  status.state = object.value("state", status.state);
  status.reason = object.value("reason", "");
  status.epoch = object.value("epoch", std::int64_t{0});
  status.step = object.value("step", std::int64_t{0});
  status.best_epoch = object.value("best_epoch", std::int64_t{0});
  status.best_score =
      object.contains("best_score") && object["best_score"].is_number() ? object["best_score"].get<double>() : 0;
  status.metric = object.value("metric", "");
  status.pid = object.value("pid", std::int64_t{0});
  status.started_utc = object.value("started_utc", "");
  status.updated_utc = object.value("updated_utc", "");
  return status;
}

Json read_json(const fs::path& path) {
  try {
    return Json::parse(read_file(path));
  } catch (const nlohmann::json::exception& problem) {
    fail(ErrorKind::data, "'{}' is damaged: {}", path.string(), problem.what());
  }
}

}  // namespace

void check_run_name(std::string_view name) {
  const auto is_fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  if (name.empty() || name.front() == '.' || !std::all_of(name.begin(), name.end(), is_fine)) {
    fail(ErrorKind::usage, "'{}' cannot name a run; use letters, digits, '-', '_' and '.'", name);
  }
}

Json to_json(const RunStatus& status) {
  return {{"state", status.state},
          {"reason", status.reason},
          {"epoch", status.epoch},
          {"step", status.step},
          {"best_epoch", status.best_epoch},
          {"best_score", status.best_score},
          {"metric", status.metric},
          {"pid", status.pid},
          {"started_utc", status.started_utc},
          {"updated_utc", status.updated_utc}};
}

Run Run::create(const fs::path& workspace, std::string_view name, std::string_view signature,
                const std::string& config_toml, const Json& manifest) {
  check_run_name(name);
  const auto runs = workspace / "runs";
  const auto folder = runs / fmt::format("{}-{}", name, signature);
  if (fs::exists(folder)) {
    fail(ErrorKind::usage, "run '{}' is there already; go on with it by --resume, or choose another --name",
         folder.filename().string());
  }
  make_folders(runs, "name another --workspace");
  note_run_of_job(folder);  // first, so that a job killed at any instant finds what it has made
  write_folder_atomically(folder, [&](const fs::path& temporary) {
    write_file_atomically(temporary / "config.toml", config_toml);
    write_file_atomically(temporary / "manifest.json", json_text(manifest) + "\n");
    for (const auto* part : {"checkpoints", "samples", "evaluations"}) fs::create_directory(temporary / part);
  });
  Run run(folder);
  run.set_status({.started_utc = utc_now()});
  return run;
}

Run Run::open(const fs::path& workspace, std::string_view name_or_folder) {
  const fs::path given(name_or_folder);
  if (is_run_folder(given)) return Run(fs::absolute(given).lexically_normal());
  const auto runs = list(workspace);
  for (const auto& run : runs) {
    if (run.id() == name_or_folder) return run;
  }
  for (const auto& run : runs) {  // newest first
    if (run.name() == name_or_folder) return run;
  }
  if (runs.empty()) {
    fail(ErrorKind::usage, "no run '{}': the workspace '{}' has no runs yet; melisma train makes one", name_or_folder,
         workspace.string());
  }
  std::vector<std::string> known;
  for (const auto& run : runs) {
    if (std::find(known.begin(), known.end(), run.name()) == known.end()) known.push_back(run.name());
  }
  throw Error(ErrorKind::usage, unknown_name_message("run", name_or_folder, known));
}

std::vector<Run> Run::list(const fs::path& workspace) {
  std::vector<std::pair<std::string, Run>> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(workspace / "runs", ignored)) {
    if (!entry.is_directory() || !is_run_folder(entry.path())) continue;
    Run run(fs::absolute(entry.path()).lexically_normal());
    std::string updated;
    try {
      updated = run.status().updated_utc;
    } catch (const Error&) {
      // A run whose status cannot be read is still a run; it sorts last.
    }
    found.emplace_back(updated, std::move(run));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second.id() < b.second.id();
  });
  std::vector<Run> runs;
  for (auto& [updated, run] : found) runs.push_back(std::move(run));
  return runs;
}

std::string Run::name() const { return name_in_id(id()); }
std::string Run::config_toml() const { return read_file(folder_ / "config.toml"); }
Json Run::manifest() const { return read_json(folder_ / "manifest.json"); }

RunStatus Run::status() const {
  if (!fs::exists(folder_ / "status.json")) return {};
  auto status = status_from(read_json(folder_ / "status.json"));
  if (status.state == "running" && ::kill(static_cast<pid_t>(status.pid), 0) != 0 && errno == ESRCH) {
    status.state = "interrupted";
    status.reason = "its process ended without a word; --resume goes on from the last checkpoint";
  }
  return status;
}

void Run::set_status(RunStatus status) const {
  status.updated_utc = utc_now();
  write_file_atomically(folder_ / "status.json", json_text(to_json(status)) + "\n");
}

}  // namespace melisma
