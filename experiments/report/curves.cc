// Learning curves: the held-out metric with the best epoch and the overtraining decision, then every loss.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "experiments/report/chart.h"
#include "experiments/report/html.h"
#include "experiments/report/sections.h"

namespace melisma {
namespace {

// Series by tag, in the order in which tags first came.
struct TaggedSeries {
  std::vector<std::string> tags;
  std::map<std::string, ChartSeries> series;
};

TaggedSeries series_of(const RunRecord& record, bool by_epoch) {
  TaggedSeries found;
  for (const auto& line : record.lines) {
    if (line.kind != "scalars") continue;
    for (const auto& [tag, value] : line.values) {
      if (!found.series.contains(tag)) {
        found.tags.push_back(tag);
        found.series[tag].name = tag;
      }
      const auto x = static_cast<double>(by_epoch ? line.epoch : line.step);
      found.series[tag].points.push_back(
          {x, value, fmt::format("epoch {}, step {}: {}", line.epoch, line.step, html_number(value))});
    }
  }
  return found;
}

std::string after_slash(const std::string& tag) { return tag.substr(tag.find('/') + 1); }

// The lowest point; null for none.
const ChartPoint* lowest(const ChartSeries& series) {
  const ChartPoint* best = nullptr;
  for (const auto& point : series.points) {
    if (std::isfinite(point.y) && (best == nullptr || point.y < best->y)) best = &point;
  }
  return best;
}

void add_decisions(const RunRecord& record, std::vector<ChartMark>& marks) {
  for (const auto& line : record.lines) {
    if (line.kind == "decision" && line.about == "overtraining" && line.decision == "stop") {
      marks.push_back({static_cast<double>(line.epoch), 0, "stopped: " + line.reason, false});
    }
  }
}

// Held-out score by epoch, with the same on training clips where the run measured it.
Chart held_out_chart(const RunRecord& record, const TaggedSeries& by_epoch, const std::string& metric) {
  Chart chart{.title = fmt::format("Held-out {} by epoch", metric), .x_label = "epoch"};
  const auto held_out = by_epoch.series.find("validation/" + metric);
  if (held_out != by_epoch.series.end()) {
    auto series = held_out->second;
    series.name = "held-out recordings";
    series.has_dots = true;
    if (const auto* best = lowest(series)) {
      chart.marks.push_back(
          {best->x, best->y, fmt::format("best: epoch {:.0f}, {}", best->x, html_number(best->y)), true});
    }
    chart.series.push_back(std::move(series));
  }
  const auto training = by_epoch.series.find("training_clips/" + metric);
  if (training != by_epoch.series.end()) {
    auto series = training->second;
    series.name = "training clips";
    series.has_dots = true;
    chart.series.push_back(std::move(series));
  }
  if (!chart.series.empty()) add_decisions(record, chart.marks);
  return chart;
}

// Small charts of every tag with the prefix but `left_out`.
std::string small_charts(const TaggedSeries& tagged, std::string_view prefix, const std::string& left_out,
                         std::string_view x_label) {
  std::string html;
  for (const auto& tag : tagged.tags) {
    if (!tag.starts_with(prefix) || tag == left_out) continue;
    Chart chart{.title = after_slash(tag), .x_label = std::string(x_label), .width = 340, .height = 190};
    chart.series.push_back(tagged.series.at(tag));
    chart.series.back().has_dots = chart.series.back().points.size() < 60;
    html += to_svg(chart);
  }
  return html.empty() ? html : fmt::format(R"(<div class="grid-of-charts">{}</div>)", html);
}

}  // namespace

std::string curves_section(const RunRecord& record) {
  const auto metric = watched_metric(record);
  const auto by_epoch = series_of(record, true), by_step = series_of(record, false);
  std::string html = "<h3>Curves</h3>";
  if (record.lines.empty()) return html + R"(<p class="quiet">This run has logged nothing yet.</p>)";
  if (!metric.empty()) html += to_svg(held_out_chart(record, by_epoch, metric));
  html += small_charts(by_epoch, "validation/", "validation/" + metric, "epoch");
  const auto losses = small_charts(by_step, "loss/", "", "step");
  if (!losses.empty()) html += "<h4>Training losses</h4>" + losses;
  const auto rest = small_charts(by_step, "grad_norm/", "", "step") + small_charts(by_step, "lr/", "", "step");
  if (!rest.empty()) html += "<details><summary>Gradient norms and learning rates</summary>" + rest + "</details>";
  return html;
}

std::string comparison_section(const std::vector<RunRecord>& records) {
  if (records.size() < 2) return {};
  const auto metric = watched_metric(records.front());
  Chart chart{.title = fmt::format("Held-out {} of every run", metric), .x_label = "epoch"};
  for (const auto& record : records) {
    auto tagged = series_of(record, true);
    const auto found = tagged.series.find("validation/" + metric);
    if (found == tagged.series.end()) continue;
    found->second.name = record.run.id();
    found->second.has_dots = true;
    chart.series.push_back(found->second);
  }
  std::vector<std::vector<std::string>> rows{
      {"run", "state", "epochs", "best epoch", "best held-out " + html_escaped(metric)}};
  for (const auto& record : records) {
    const auto& status = record.status;
    rows.push_back({html_escaped(record.run.id()), html_escaped(status.state), fmt::to_string(status.epoch),
                    status.best_epoch > 0 ? fmt::to_string(status.best_epoch) : "none",
                    status.best_epoch > 0 ? html_number(status.best_score) : "none"});
  }
  return "<section><h2>Side by side</h2>" + to_svg(chart) + html_table(rows, "The runs of this page") + "</section>";
}

}  // namespace melisma
