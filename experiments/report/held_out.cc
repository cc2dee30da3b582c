// Held-out numbers: what an evaluation file says, with intervals, baselines and paired differences.
#include <fmt/format.h>

#include <cmath>

#include "experiments/report/html.h"
#include "experiments/report/sections.h"
#include "experiments/runs/held_out_caveat.h"

namespace melisma {
namespace {
using Json = nlohmann::ordered_json;

double number_at(const Json& json, const char* key) {
  return json.contains(key) && json[key].is_number() ? json[key].get<double>() : std::nan("");
}

std::string mean_cell(const Json& summary) {
  if (!std::isfinite(number_at(summary, "mean"))) return R"(<span class="quiet">none</span>)";
  auto cell = fmt::format("<b>{}</b>", html_number(number_at(summary, "mean")));
  const double low = number_at(summary, "low"), high = number_at(summary, "high");
  cell += std::isfinite(low)
              ? fmt::format(R"( <span class="interval">[{}, {}]</span>)", html_number(low), html_number(high))
              : R"( <span class="interval">one recording, no interval</span>)";
  return cell;
}

std::string left_out_note(const Json& evaluation) {
  std::string notes;
  for (const auto& candidate : json_part(evaluation, "candidates")) {
    for (const auto& [metric, summary] : json_part(candidate, "metrics").items()) {
      for (const auto& [why, count] : json_part(summary, "left_out").items()) {
        notes += fmt::format("<li>{} of {}: {} clips left out ({})</li>", html_escaped(metric),
                             html_escaped(candidate.value("name", "")), count.dump(), html_escaped(why));
      }
    }
  }
  return notes.empty() ? notes : "<details><summary>Clips left out of means</summary><ul>" + notes + "</ul></details>";
}

std::string metric_head(const std::string& name, const Json& metric) {
  const auto unit = metric.value("unit", "");
  const char* arrow = metric.value("better", "") == "lower" ? "&darr;" : "&uarr;";
  return fmt::format(R"(<abbr title="{}">{}</abbr>{} <span class="quiet" title="{} is better">{}</span>)",
                     html_escaped(metric.value("summary", "")), html_escaped(name),
                     unit.empty() ? "" : ", " + html_escaped(unit), html_escaped(metric.value("better", "")), arrow);
}

std::string means_table(const Json& evaluation) {
  const auto candidates = json_part(evaluation, "candidates");
  std::vector<std::vector<std::string>> rows{{"metric"}};
  for (const auto& candidate : candidates) {
    rows[0].push_back(fmt::format(R"(<abbr title="{}">{}</abbr>)", html_escaped(candidate.value("summary", "")),
                                  html_escaped(candidate.value("name", ""))));
  }
  for (const auto& [name, metric] : json_part(evaluation, "metrics").items()) {
    std::vector<std::string> row{metric_head(name, metric)};
    for (const auto& candidate : candidates) row.push_back(mean_cell(json_part(json_part(candidate, "metrics"), name)));
    rows.push_back(std::move(row));
  }
  return html_table(rows, "Mean over recordings with its 95 % bootstrap interval");
}

// A paired difference as a bar on a common scale: percent of the baseline's mean.
std::string difference_bar(const Json& difference) {
  const double mean = number_at(difference, "mean"), percent = number_at(difference, "relative_percent");
  const double low = number_at(difference, "low"), high = number_at(difference, "high");
  if (!std::isfinite(low) || !std::isfinite(percent) || mean == 0) return {};
  const double scale = percent / mean;  // percent a unit
  const auto place = [](double value) { return 50 + std::clamp(value, -100.0, 100.0) / 2; };
  const double a = place(std::min(low * scale, high * scale)), b = place(std::max(low * scale, high * scale));
  const char* kind = difference.value("is_better", false) ? "good" : "unsure";
  return fmt::format(R"(<svg class="bar" viewBox="0 0 100 14" role="img" aria-label="{:.1f} %"><line class="axis" )"
                     R"(x1="50" x2="50" y1="0" y2="14"/><line class="{}" x1="{:.2f}" x2="{:.2f}" y1="7" y2="7" )"
                     R"(stroke-width="3"/><circle class="{}" cx="{:.2f}" cy="7" r="3"/></svg>)",
                     percent, kind, a, b, kind, place(percent));
}

std::string differences_table(const Json& evaluation) {
  std::vector<std::vector<std::string>> rows{
      {"metric", "against", "difference", "of the baseline", "-100 % &hellip; +100 %", "p, Holm", ""}};
  for (const auto& difference : json_part(evaluation, "differences")) {
    const bool is_better = difference.value("is_better", false);
    rows.push_back(
        {html_escaped(difference.value("metric", "")), html_escaped(difference.value("baseline", "")),
         mean_cell(difference), fmt::format("{:+.1f} %", number_at(difference, "relative_percent")),
         difference_bar(difference), fmt::format("{:.3g}", number_at(difference, "p_holm")),
         is_better ? R"(<span class="good-text">better</span>)" : R"(<span class="quiet">not shown better</span>)"});
  }
  if (rows.size() == 1) return {};
  return html_table(rows, "Model minus baseline, paired by recording; signed-rank test corrected for all rows");
}

std::string openings_note(const Json& evaluation) {
  const auto openings = json_part(evaluation, "test_openings");
  if (openings.empty()) return R"(<p class="quiet">The test split of this dataset has never been opened.</p>)";
  std::vector<std::vector<std::string>> rows{{"when", "command", "model"}};
  for (const auto& opening : openings) {
    rows.push_back({html_escaped(opening.value("time_utc", "")),
                    "<code>" + html_escaped(opening.value("command", "")) + "</code>",
                    "<code>" + html_escaped(opening.value("model_hash", "").substr(0, 12)) + "</code>"});
  }
  return fmt::format("<details{}><summary>The test split has been opened {} so far</summary>{}</details>",
                     evaluation.value("split", "") == "test" ? " open" : "",
                     openings.size() == 1 ? "once" : fmt::format("{} times", openings.size()),
                     html_table(rows, "Openings of the test split"));
}

}  // namespace

std::string held_out_section(const RunRecord& record) {
  std::string html = "<h3>Held-out recordings</h3>";
  if (const auto caveat = held_out_caveat(record.run.manifest()); !caveat.empty()) {
    html += fmt::format(R"(<p class="caveat"><b>Not certainly unheard</b>: {}.</p>)", html_escaped(caveat));
  }
  if (record.evaluations.empty()) {
    return html +
           fmt::format(R"(<p class="quiet">Not evaluated yet: <code>melisma evaluate {} --dataset &hellip;</code></p>)",
                       html_escaped(record.run.name()));
  }
  for (const auto& evaluation : record.evaluations) {
    const auto model = json_part(evaluation, "model");
    html += fmt::format(
        R"(<h4>{}: {} split, {} clips of {} recordings, {:.0f} s</h4><p class="quiet">Resynthesised from content and )"
        R"(pitch alone, as conversion does; noise seed {}.</p>)",
        html_escaped(model.value("label", "")), html_escaped(evaluation.value("split", "")),
        evaluation.value("n_clips", 0), json_part(evaluation, "recordings").size(), number_at(evaluation, "seconds"),
        evaluation.value("noise_seed", 0));
    html +=
        means_table(evaluation) + differences_table(evaluation) + left_out_note(evaluation) + openings_note(evaluation);
  }
  return html;
}

}  // namespace melisma
