// Results of the resynthesis suite as JSON and as a table.
#include <fmt/format.h>

#include <cmath>

#include "eval/suites/resynthesis.h"

namespace melisma {
namespace resynthesis_format {
namespace {

nlohmann::ordered_json number_or_null(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json interval_json(const MeanInterval& interval) {
  return {{"mean", number_or_null(interval.mean)},
          {"low", number_or_null(interval.low)},
          {"high", number_or_null(interval.high)},
          {"n_recordings", interval.n}};
}

nlohmann::ordered_json metric_json(const MetricSummary& summary) {
  auto json = interval_json(summary.over_recordings);
  json["n_clips"] = summary.n_clips;
  json["left_out"] = nlohmann::ordered_json::object();
  for (const auto& [why, count] : summary.left_out) json["left_out"][why] = count;
  json["recordings"] = nlohmann::ordered_json::array();
  for (const auto& score : summary.recordings) json["recordings"].push_back(number_or_null(score.value));
  return json;
}

std::string_view name_of(Alignment alignment) {
  return alignment == Alignment::none ? "none" : alignment == Alignment::frames ? "frames" : "samples";
}

std::string number(double value) {
  if (!std::isfinite(value)) return "-";
  return std::abs(value) >= 100 ? fmt::format("{:.1f}", value) : fmt::format("{:.4f}", value);
}

std::string interval_text(const MeanInterval& interval) {
  if (interval.n == 0) return "no number";
  if (!std::isfinite(interval.low)) return "one recording: no interval";
  return fmt::format("[{}, {}]", number(interval.low), number(interval.high));
}

std::string left_out_text(const MetricSummary& summary) {
  std::string text;
  for (const auto& [why, count] : summary.left_out) {
    text += fmt::format("{}{} clips left out: {}", text.empty() ? "  " : "; ", count, why);
  }
  return text;
}

}  // namespace
}  // namespace resynthesis_format

nlohmann::ordered_json to_json(const ResynthesisResult& result) {
  using namespace resynthesis_format;
  nlohmann::ordered_json json{{"suite", "resynthesis"},          {"split", name_of(result.split)},
                              {"dataset", result.dataset},       {"dataset_hash", result.dataset_hash},
                              {"split_hash", result.split_hash}, {"sample_rate_hz", result.sample_rate_hz},
                              {"n_clips", result.n_clips},       {"seconds", result.seconds},
                              {"recordings", result.recordings}};
  json["interval"] = "95 % BCa bootstrap over recordings, 10000 resamples";
  for (const auto& summary : result.candidates.front().metrics) {
    json["metrics"][std::string(summary.metric->name)] = {
        {"summary", summary.metric->summary},
        {"unit", summary.metric->unit},
        {"better", summary.metric->better == Better::lower ? "lower" : "higher"},
        {"alignment", name_of(summary.metric->alignment)}};
  }
  for (const auto& candidate : result.candidates) {
    nlohmann::ordered_json row{{"name", candidate.name},
                               {"summary", candidate.summary},
                               {"is_bound", candidate.is_bound},
                               {"synthesis_seconds", candidate.seconds}};
    for (const auto& summary : candidate.metrics) {
      row["metrics"][std::string(summary.metric->name)] = metric_json(summary);
    }
    json["candidates"].push_back(std::move(row));
  }
  json["differences"] = nlohmann::ordered_json::array();
  for (const auto& difference : result.differences) {
    auto row = interval_json(difference.difference);
    row["metric"] = difference.metric->name;
    row["baseline"] = difference.baseline;
    row["relative_percent"] = number_or_null(difference.relative_percent);
    row["p"] = difference.p;
    row["p_holm"] = difference.p_holm;
    row["is_better"] = difference.is_better;
    json["differences"].push_back(std::move(row));
  }
  return json;
}

std::string to_table(const ResynthesisResult& result) {
  using namespace resynthesis_format;
  auto text = fmt::format("resynthesis of {} ({} clips, {} recordings, {:.0f} s) of '{}'\n", name_of(result.split),
                          result.n_clips, result.recordings.size(), result.seconds, result.dataset);
  text += fmt::format("mean over recordings [95 % bootstrap interval]\n\n{:<26} {:<24} {:>10}\n", "metric", "", "mean");
  for (std::size_t m = 0; m < result.candidates.front().metrics.size(); ++m) {
    const auto& metric = *result.candidates.front().metrics[m].metric;
    const auto title = fmt::format("{}{}{}", metric.name, metric.unit.empty() ? "" : ", ", metric.unit);
    for (std::size_t c = 0; c < result.candidates.size(); ++c) {
      const auto& summary = result.candidates[c].metrics[m];
      text += fmt::format("{:<26} {:<24} {:>10} {}{}\n", c == 0 ? title : "", result.candidates[c].name,
                          number(summary.over_recordings.mean), interval_text(summary.over_recordings),
                          left_out_text(summary));
    }
  }
  if (!result.differences.empty()) {
    text += "\nmodel minus baseline, paired by recording; p of the signed-rank test, Holm-corrected\n\n";
  }
  for (const auto& difference : result.differences) {
    text += fmt::format("{:<26} {:<24} {:>10} {}  {:+.1f} %  p {:.3g}{}\n", difference.metric->name,
                        fmt::format("- {}", difference.baseline), number(difference.difference.mean),
                        interval_text(difference.difference), difference.relative_percent, difference.p_holm,
                        difference.is_better ? "  better" : "");
  }
  return text;
}

}  // namespace melisma
