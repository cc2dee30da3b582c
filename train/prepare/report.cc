#include "train/prepare/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "data/audio/fate.h"
#include "data/sets/dataset_json.h"
#include "tools/base/format.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace {

constexpr std::size_t kFilesShown = 30;  // more are grouped by fate
constexpr std::size_t kExamplesShown = 5;
constexpr std::array kSplitsInOrder{Split::train, Split::validation, Split::test};

template <class Map>
auto value_or_zero(const Map& map, Split split) {
  const auto found = map.find(split);
  return found == map.end() ? typename Map::mapped_type{} : found->second;
}

std::string line_of(const RecordingRow& row, std::size_t width) {
  auto line = fmt::format("  {:<{}}  {:<10}", row.path, width, row.fate);
  if (row.n_clips > 0) {
    line += fmt::format("  {:<10}  {:>4} clips  {} of {}", row.split, row.n_clips, format_seconds(row.kept_seconds),
                        format_seconds(row.seconds));
  } else if (!row.split.empty()) {
    line += fmt::format("  {:<10}  {}", row.split, format_seconds(row.seconds));
  }
  if (!row.detail.empty()) line += "  " + row.detail;
  return line + "\n";
}

std::size_t widest_name(const std::vector<RecordingRow>& rows) {
  std::size_t width = 0;
  for (const auto& row : rows) width = std::max(width, row.path.size());
  return std::min<std::size_t>(width, 60);
}

std::string duplicates_text(const PrepareReport& report) {
  std::map<std::int64_t, std::vector<std::string>> groups;
  for (const auto& row : report.recordings) {
    if (row.duplicate_group >= 0) groups[row.duplicate_group].push_back(row.path);
  }
  std::string text;
  for (const auto& [group, names] : groups) {
    std::string members;
    for (const auto& name : names) members += (members.empty() ? "" : ", ") + name;
    text += fmt::format("  kept on one side, the same sound: {}\n", members);
  }
  return text;
}

std::string speakers_text(const PrepareReport& report) {
  std::size_t width = 7;
  for (const auto& speaker : report.speakers) width = std::max(width, speaker.name.size());
  auto text = fmt::format("{:<{}}", "speaker", width);
  for (const auto split : kSplitsInOrder) text += fmt::format("  {:>30}", name_of(split));
  text += "\n";
  for (const auto& speaker : report.speakers) {
    text += fmt::format("{:<{}}", speaker.name, width);
    for (const auto split : kSplitsInOrder) {
      const auto cell =
          fmt::format("{} recordings, {} clips, {}", value_or_zero(speaker.recordings, split),
                      value_or_zero(speaker.clips, split), format_seconds(value_or_zero(speaker.seconds, split)));
      text += fmt::format("  {:>30}", cell);
    }
    text += "\n";
  }
  return text;
}

double total_of(const PrepareReport& report, double RecordingRow::*member) {
  double total = 0;
  for (const auto& row : report.recordings) total += row.*member;
  return total;
}

std::string totals_text(const PrepareReport& report) {
  auto text = fmt::format("kept {} of {}", format_seconds(total_of(report, &RecordingRow::kept_seconds)),
                          format_seconds(total_of(report, &RecordingRow::seconds)));
  for (const auto& [reason, dropped] : report.dropped) {
    text += fmt::format("; dropped {} of {}", format_seconds(dropped.seconds), reason);
    if (dropped.n_slices > 0)
      text += fmt::format(" ({})", format_amount(static_cast<double>(dropped.n_slices), "slices"));
  }
  return text + "\n";
}

}  // namespace

// Fates that need attention come last.
std::string files_text(const std::vector<RecordingRow>& recordings) {
  std::string text;
  if (recordings.size() <= kFilesShown) {
    for (const auto& row : recordings) text += line_of(row, widest_name(recordings));
    return text;
  }
  for (const auto& fate : kFates) {
    std::vector<const RecordingRow*> rows;
    double seconds = 0;
    for (const auto& row : recordings) {
      if (row.fate != fate.name) continue;
      rows.push_back(&row);
      seconds += row.seconds;
    }
    if (rows.empty()) continue;
    text += fmt::format("  {:<10}  {:>6}  {:>12}\n", fate.name,
                        format_amount(static_cast<double>(rows.size()), "files"), format_seconds(seconds));
    if (fate.fate == Fate::kept) continue;
    for (std::size_t i = 0; i < std::min(rows.size(), kExamplesShown); ++i) {
      text += fmt::format("    {}  {}\n", rows[i]->path, rows[i]->detail);
    }
    if (rows.size() > kExamplesShown)
      text += fmt::format("    and {} more (--json lists all)\n", rows.size() - kExamplesShown);
  }
  return text;
}

nlohmann::ordered_json fates_json(const std::vector<RecordingRow>& rows) {
  auto json = nlohmann::ordered_json::object();
  for (const auto& fate : kFates) {
    const auto n =
        std::count_if(rows.begin(), rows.end(), [&](const RecordingRow& row) { return row.fate == fate.name; });
    if (n > 0) json[std::string(fate.name)] = n;
  }
  return json;
}

std::string text_of(const PrepareReport& report) {
  auto text = files_text(report.recordings) + duplicates_text(report) + totals_text(report);
  if (report.outcome == "nothing usable") return text + "no dataset was written: nothing usable\n";
  text += speakers_text(report);
  for (const auto& key : report.features) text += fmt::format("features  {} {}\n", key.kind, key.parameters);
  if (report.n_parts_reused + report.n_blocks_reused > 0) {
    text += fmt::format("taken up from an earlier run: {}, {} of features\n",
                        format_amount(static_cast<double>(report.n_parts_reused), "recordings"),
                        format_amount(static_cast<double>(report.n_blocks_reused), "blocks"));
  }
  return text + fmt::format("dataset {} ({}, {} Hz, content {})\n", report.dataset.string(), report.outcome,
                            report.sample_rate_hz, report.content_hash.substr(0, 12));
}

nlohmann::ordered_json json_of(const PrepareReport& report) {
  nlohmann::ordered_json json;
  json["dataset"] = report.dataset.string();
  json["outcome"] = report.outcome;
  json["sample_rate_hz"] = report.sample_rate_hz;
  json["content_hash"] = report.content_hash;
  json["split_hash"] = report.split_hash;
  json["seconds"] = total_of(report, &RecordingRow::seconds);
  json["kept_seconds"] = total_of(report, &RecordingRow::kept_seconds);
  json["dropped"] = nlohmann::ordered_json::object();
  for (const auto& [reason, dropped] : report.dropped) {
    json["dropped"][reason] = {{"slices", dropped.n_slices}, {"seconds", dropped.seconds}};
  }
  json["fates"] = fates_json(report.recordings);
  json["speakers"] = nlohmann::ordered_json::array();
  for (const auto& speaker : report.speakers) {
    nlohmann::ordered_json entry{{"name", speaker.name}};
    for (const auto split : kSplitsInOrder) {
      entry[std::string(name_of(split))] = {{"recordings", value_or_zero(speaker.recordings, split)},
                                            {"clips", value_or_zero(speaker.clips, split)},
                                            {"seconds", value_or_zero(speaker.seconds, split)}};
    }
    json["speakers"].push_back(std::move(entry));
  }
  json["recordings"] = nlohmann::ordered_json::array();
  for (const auto& row : report.recordings) json["recordings"].push_back(json_of(row));
  json["features"] = nlohmann::ordered_json::array();
  for (const auto& key : report.features) json["features"].push_back(json_of(key));
  json["reused"] = {{"recordings", report.n_parts_reused}, {"feature_blocks", report.n_blocks_reused}};
  return json;
}

void print_report(const std::string& text, const nlohmann::ordered_json& json, bool as_json) {
  if (as_json) {
    fmt::print("{}\n", json_text(json));
  } else {
    fmt::print("{}", text);
  }
}

}  // namespace melisma
