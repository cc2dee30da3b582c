#include "infer/mixdown/mix_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>

#include "tools/base/error.h"
#include "tools/base/table.h"
#include "tools/base/text_table.h"

namespace melisma {
namespace mix_sheet {
namespace {

std::vector<double> neutral_values(std::span<const ConsoleParameter> parameters) {
  std::vector<double> values;
  for (const auto& parameter : parameters) values.push_back(parameter.neutral);
  return values;
}

// One list of values that a change is for, with its parameters.
struct Addressed {
  std::span<const ConsoleParameter> parameters;
  std::vector<std::vector<double>*> lists;
};

std::string stem_of(const std::string& channel) {
  for (const std::string_view side : {".left", ".right"}) {
    if (channel.ends_with(side)) return channel.substr(0, channel.size() - side.size());
  }
  return channel;
}

Addressed addressed_by(MixSheet& sheet, std::string_view who) {
  if (who == "master") return {kMasterParameters, {&sheet.master}};
  if (who == "reverb") {
    if (sheet.reverb.empty()) fail(ErrorKind::usage, "this mix has no reverb to change; use a model trained with one");
    return {kReverbParameters, {&sheet.reverb}};
  }
  Addressed found{kTrackParameters, {}};
  std::vector<std::string> known{"all", "master", "reverb"};
  for (auto& track : sheet.tracks) {
    const auto stem = stem_of(track.name);
    if (who == "all" || who == track.name || who == stem) found.lists.push_back(&track.values);
    for (const auto& name : {stem, track.name}) {
      if (std::ranges::find(known, name) == known.end()) known.push_back(name);
    }
  }
  if (found.lists.empty()) throw Error(ErrorKind::usage, unknown_name_message("track", who, known));
  return found;
}

double number_of(std::string_view text, std::string_view change) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    fail(ErrorKind::usage, "'{}' ends with '{}', which is no number; expected for example vocals.fader_db=-3", change,
         text);
  }
  return value;
}

nlohmann::ordered_json values_json(std::span<const ConsoleParameter> parameters, const std::vector<double>& values) {
  nlohmann::ordered_json object;
  for (std::size_t i = 0; i < parameters.size(); ++i) object[std::string(parameters[i].name)] = values[i];
  return object;
}

bool is_neutral(const ConsoleParameter& parameter, double value) { return std::abs(value - parameter.neutral) < 1e-9; }

std::string changed_text(std::span<const ConsoleParameter> parameters, const std::vector<double>& values) {
  std::string text;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (is_neutral(parameters[i], values[i])) continue;
    text += fmt::format("{}{} {:.4g}", text.empty() ? "" : ", ", parameters[i].name, values[i]);
  }
  return text.empty() ? "neutral" : text;
}

// Of tracks, then what only the master has.
std::vector<std::string_view> names_in_order() {
  std::vector<std::string_view> names;
  for (const auto& parameter : kTrackParameters) names.push_back(parameter.name);
  for (const auto& parameter : kMasterParameters) {
    if (std::ranges::find(names, parameter.name) == names.end()) names.push_back(parameter.name);
  }
  return names;
}

// "-" where there is no such parameter, nothing where it is neutral.
std::string cell(std::span<const ConsoleParameter> parameters, const std::vector<double>& values, std::string_view name,
                 bool& is_changed) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].name != name) continue;
    if (is_neutral(parameters[i], values[i])) return "";
    is_changed = true;
    return fmt::format("{:.4g}", values[i]);
  }
  return "-";
}

}  // namespace
}  // namespace mix_sheet

MixSheet neutral_sheet(const std::vector<std::string>& names, std::int64_t sample_rate_hz) {
  MixSheet sheet{.sample_rate_hz = sample_rate_hz, .master = mix_sheet::neutral_values(kMasterParameters)};
  for (const auto& name : names) sheet.tracks.push_back({name, mix_sheet::neutral_values(kTrackParameters)});
  return sheet;
}

void change_sheet(MixSheet& sheet, std::string_view change) {
  const auto equals = change.find('=');
  if (equals == std::string_view::npos) {
    fail(ErrorKind::usage, "'{}' changes nothing; expected for example vocals.fader_db=-3 or vocals.fader_db+=2",
         change);
  }
  const bool is_added = equals > 0 && change[equals - 1] == '+';
  const auto path = change.substr(0, is_added ? equals - 1 : equals);
  const auto dot = path.rfind('.');
  if (dot == std::string_view::npos) {
    fail(ErrorKind::usage, "'{}' names no track; expected for example vocals.fader_db=-3", change);
  }
  const auto found = mix_sheet::addressed_by(sheet, path.substr(0, dot));
  const auto& parameter = find_row(found.parameters, path.substr(dot + 1), "parameter", ErrorKind::usage);
  const auto column = static_cast<std::size_t>(&parameter - found.parameters.data());
  const double number = mix_sheet::number_of(change.substr(equals + 1), change);
  const double high = parameter.high_at(sheet.sample_rate_hz);
  for (auto* values : found.lists) {
    const double value = is_added ? values->at(column) + number : number;
    if (value < parameter.low || value > high) {
      fail(ErrorKind::usage, "'{}' makes {} {:g} {}; expected {:g} to {:g}", change, parameter.name, value,
           parameter.unit, parameter.low, high);
    }
    values->at(column) = value;
  }
}

nlohmann::ordered_json sheet_json(const MixSheet& sheet) {
  using mix_sheet::values_json;
  nlohmann::ordered_json json{{"sample_rate_hz", sheet.sample_rate_hz},
                              {"pan_law", sheet.is_constant_power ? "constant power" : "compromise"}};
  for (const auto& track : sheet.tracks) json["tracks"][track.name] = values_json(kTrackParameters, track.values);
  json["master"] = values_json(kMasterParameters, sheet.master);
  if (!sheet.reverb.empty()) json["reverb"] = values_json(kReverbParameters, sheet.reverb);
  return json;
}

std::string sheet_text(const MixSheet& sheet) {
  using namespace mix_sheet;
  std::vector<std::vector<std::string>> rows{{"parameter"}};
  for (const auto& track : sheet.tracks) rows[0].push_back(track.name);
  rows[0].push_back("master");
  for (const auto& name : names_in_order()) {
    std::vector<std::string> row{std::string(name)};
    bool is_changed = false;
    for (const auto& track : sheet.tracks) row.push_back(cell(kTrackParameters, track.values, name, is_changed));
    row.push_back(cell(kMasterParameters, sheet.master, name, is_changed));
    if (is_changed) rows.push_back(std::move(row));
  }
  auto text = rows.size() > 1 ? text_table(rows) : "every parameter of the tracks and the master is neutral\n";
  if (!sheet.reverb.empty()) text += fmt::format("reverb: {}\n", changed_text(kReverbParameters, sheet.reverb));
  return text;
}

}  // namespace melisma
