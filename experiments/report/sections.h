// The parts of a report page, each a piece of HTML made of what a run's files say.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/runs/run.h"
#include "tools/base/metrics_file.h"

namespace melisma {

// A run with everything a page needs of it.
struct RunRecord {
  Run run;
  RunStatus status;
  std::vector<MetricsLine> lines;
  std::vector<nlohmann::ordered_json> evaluations;  // test first, then by epoch
  std::vector<nlohmann::ordered_json> exports;
};

// Reads them; files that a run does not have yet are empty.
[[nodiscard]] RunRecord read_run_record(Run run);

// The held-out metric that the run was judged by: of its status, else the first that was validated; may be empty.
[[nodiscard]] std::string watched_metric(const RunRecord& record);

[[nodiscard]] std::string summary_section(const std::vector<RunRecord>& records);  // the findings in sentences
[[nodiscard]] std::string comparison_section(
    const std::vector<RunRecord>& records);  // held-out curves together; empty for one
[[nodiscard]] std::string curves_section(const RunRecord& record);
[[nodiscard]] std::string held_out_section(const RunRecord& record);
[[nodiscard]] std::string listening_section(const RunRecord& record);
[[nodiscard]] std::string sounds_section(const std::vector<std::string>& sounds);  // "label=file"
[[nodiscard]] std::string exports_section(const std::vector<nlohmann::ordered_json>& exports);
[[nodiscard]] std::string provenance_section(const RunRecord& record);

// What `json` holds under `key`; an empty object where it holds nothing, or is no object. A reference into `json`.
[[nodiscard]] const nlohmann::ordered_json& json_part(const nlohmann::ordered_json& json, const std::string& key);

// A table whose first row is the head. Cells are HTML.
[[nodiscard]] std::string html_table(const std::vector<std::vector<std::string>>& rows, std::string_view caption);

// The style sheet of the page.
[[nodiscard]] std::string_view report_style();

}  // namespace melisma
