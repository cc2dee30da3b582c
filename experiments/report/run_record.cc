#include <algorithm>

#include "experiments/report/sections.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Every *.json directly in `folder` that holds an object, by name. The file's folder is kept as "_folder".
std::vector<Json> json_files_in(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(folder, absent)) {
    if (entry.path().extension() == ".json") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Json> files;
  for (const auto& path : paths) {
    auto json = Json::parse(read_file(path), nullptr, false);
    if (!json.is_object()) fail(ErrorKind::data, "'{}' is damaged: not a JSON object", path.string());
    json["_folder"] = folder.string();
    json["_file"] = path.filename().string();
    files.push_back(std::move(json));
  }
  return files;
}

}  // namespace

RunRecord read_run_record(Run run) {
  const auto status = run.status();
  RunRecord record{std::move(run), status, {}, {}, {}};
  record.lines = read_metrics_file(record.run.metrics());
  for (auto& json : json_files_in(record.run.evaluations())) {
    if (json.value("suite", "") == "resynthesis") record.evaluations.push_back(std::move(json));
  }
  std::stable_sort(record.evaluations.begin(), record.evaluations.end(), [](const Json& a, const Json& b) {
    return a.value("split", "") == "test" && b.value("split", "") != "test";
  });
  const auto models = record.run.folder().parent_path().parent_path() / "models";
  for (auto& json : json_files_in(models)) {  // exports of every run
    if (json.value("run", "") == record.run.id()) record.exports.push_back(std::move(json));
  }
  return record;
}

const Json& json_part(const Json& json, const std::string& key) {
  static const Json kNothing = Json::object();
  const auto found = json.is_object() ? json.find(key) : json.end();
  return found == json.end() ? kNothing : *found;
}

std::string watched_metric(const RunRecord& record) {
  if (!record.status.metric.empty()) return record.status.metric;
  constexpr std::string_view kPrefix = "validation/";
  for (const auto& line : record.lines) {
    for (const auto& [name, value] : line.values) {
      if (name.starts_with(kPrefix)) return name.substr(kPrefix.size());
    }
  }
  return {};
}

}  // namespace melisma
