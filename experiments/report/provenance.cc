// Findings in sentences, exported weights, and where every number comes from.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/report/html.h"
#include "experiments/report/sections.h"
#include "experiments/runs/held_out_caveat.h"

namespace melisma {
namespace {
using Json = nlohmann::ordered_json;

std::string cell_of(const Json& value) {
  if (value.is_string()) return html_escaped(value.get<std::string>());
  if (value.is_number_float()) return html_number(value.get<double>());
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  return value.is_null() ? "none" : html_escaped(value.dump());
}

// Rows of path and value of everything below `json`; short lists stay on one line.
void flatten(const Json& json, const std::string& path, std::vector<std::vector<std::string>>& rows) {
  for (const auto& [key, value] : json.items()) {
    const auto here = path.empty() ? key : path + "." + key;
    if (value.is_object()) {
      flatten(value, here, rows);
    } else {
      rows.push_back({"<code>" + html_escaped(here) + "</code>", cell_of(value)});
    }
  }
}

// Plain values of a report and of the objects in it, one level deep: what fits a table's cells.
using PlainValues = std::vector<std::pair<std::string, std::string>>;

PlainValues plain_values(const Json& report) {
  PlainValues values;
  for (const auto& [key, value] : report.items()) {
    if (key.starts_with("_") || key.ends_with("_hash") || value.is_array()) continue;
    if (!value.is_object()) {
      values.emplace_back(key, cell_of(value));
      continue;
    }
    for (const auto& [inner, plain] : value.items()) {
      if (!plain.is_structured() && !inner.ends_with("_hash")) values.emplace_back(key + " " + inner, cell_of(plain));
    }
  }
  return values;
}

std::string sentence_of(const RunRecord& record) {
  const auto& status = record.status;
  auto text = fmt::format("<p><b>{}</b>: {}", html_escaped(record.run.name()), html_escaped(status.state));
  if (!status.reason.empty()) text += " (" + html_escaped(status.reason) + ")";
  text += fmt::format(" after {} epochs, {} steps.", status.epoch, status.step);
  if (status.best_epoch > 0) {
    text += fmt::format(" Best epoch {}: held-out {} {}.", status.best_epoch, html_escaped(status.metric),
                        html_number(status.best_score));
  }
  const auto metric = watched_metric(record);
  for (const auto& evaluation : record.evaluations) {
    for (const auto& difference : json_part(evaluation, "differences")) {
      if (difference.value("metric", "") != metric || !difference["low"].is_number()) continue;
      const double scale = difference.value("relative_percent", 0.0) / difference.value("mean", 1.0);
      const double a = difference.value("low", 0.0) * scale, b = difference.value("high", 0.0) * scale;
      text += fmt::format(" On the {} recordings, {} is {:+.1f} % [{:+.1f}, {:+.1f}] against {} weights.",
                          html_escaped(evaluation.value("split", "")), html_escaped(metric),
                          difference.value("relative_percent", 0.0), std::min(a, b), std::max(a, b),
                          html_escaped(difference.value("baseline", "")));
    }
  }
  if (const auto caveat = held_out_caveat(record.run.manifest()); !caveat.empty() && status.best_epoch > 0) {
    text += " Of held-out scores: " + html_escaped(caveat) + ".";
  }
  return text + "</p>";
}

}  // namespace

std::string summary_section(const std::vector<RunRecord>& records) {
  std::string html = "<section><h2>Findings</h2>";
  for (const auto& record : records) html += sentence_of(record);
  return html + "</section>";
}

std::string exports_section(const std::vector<Json>& exports) {
  if (exports.empty()) return {};
  std::vector<PlainValues> reports;
  std::vector<std::string> columns;  // in the order in which they first come
  for (const auto& report : exports) {
    for (const auto& [key, cell] : reports.emplace_back(plain_values(report))) {
      if (std::find(columns.begin(), columns.end(), key) == columns.end()) columns.push_back(key);
    }
  }
  std::vector<std::vector<std::string>> rows{{"report"}};
  for (auto column : columns) {
    std::replace(column.begin(), column.end(), '_', ' ');
    rows[0].push_back(html_escaped(column));
  }
  for (std::size_t i = 0; i < exports.size(); ++i) {
    std::vector<std::string> row{html_escaped(exports[i].value("_file", ""))};
    for (const auto& column : columns) {
      const auto found =
          std::find_if(reports[i].begin(), reports[i].end(), [&](const auto& p) { return p.first == column; });
      row.push_back(found == reports[i].end() ? "" : found->second);
    }
    rows.push_back(std::move(row));
  }
  std::string html = "<h3>Exported weights</h3>" + html_table(rows, "Size, fidelity and speed against fp32");
  for (const auto& report : exports) {
    std::vector<std::vector<std::string>> details{{"what", "value"}};
    auto inner = report;
    inner.erase("_folder");
    inner.erase("_file");
    flatten(inner, "", details);
    html += fmt::format("<details><summary>All of {}</summary>{}</details>", html_escaped(report.value("_file", "")),
                        html_table(details, "Quality report"));
  }
  return html;
}

std::string provenance_section(const RunRecord& record) {
  std::vector<std::vector<std::string>> rows{{"what", "value"}};
  flatten(record.run.manifest(), "", rows);
  for (const auto& evaluation : record.evaluations) {
    for (const char* key : {"dataset", "dataset_hash", "split_hash", "command", "time_utc", "interval"}) {
      if (evaluation.contains(key)) {
        rows.push_back({fmt::format("<code>evaluation.{}.{}</code>", html_escaped(evaluation.value("split", "")), key),
                        cell_of(evaluation[key])});
      }
    }
    rows.push_back({fmt::format("<code>evaluation.{}.model</code>", html_escaped(evaluation.value("split", ""))),
                    "<code>" + html_escaped(json_part(evaluation, "model").dump()) + "</code>"});
  }
  return fmt::format(
      "<h3>Provenance</h3><details><summary>Commit, command line, data, versions, hardware</summary>{}"
      "</details><details><summary>Settings (config.toml)</summary><pre>{}</pre></details>",
      html_table(rows, "Where the numbers come from"), html_escaped(record.run.config_toml()));
}

std::string html_table(const std::vector<std::vector<std::string>>& rows, std::string_view caption) {
  std::string html =
      fmt::format(R"(<div class="table" tabindex="0" role="region" aria-label="{0}"><table><caption>{0}</caption>)",
                  html_escaped(caption));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    html += i == 0 ? "<thead><tr>" : i == 1 ? "<tbody><tr>" : "<tr>";
    for (std::size_t j = 0; j < rows[i].size(); ++j) {
      const char* tag = i == 0 ? R"(th scope="col")" : j == 0 ? R"(th scope="row")" : "td";
      html += fmt::format("<{}>{}</{}>", tag, rows[i][j], i == 0 || j == 0 ? "th" : "td");
    }
    html += i == 0 ? "</tr></thead>" : "</tr>";
  }
  return html + (rows.size() > 1 ? "</tbody>" : "") + "</table></div>";
}

}  // namespace melisma
