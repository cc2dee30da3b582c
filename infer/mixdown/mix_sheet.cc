#include "infer/mixdown/mix_sheet.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <span>

#include "tools/base/error.h"
#include "tools/base/table.h"

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

std::string changed_text(std::span<const ConsoleParameter> parameters, const std::vector<double>& values) {
  std::string text;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& parameter = parameters[i];
    if (std::abs(values[i] - parameter.neutral) < 1e-9) continue;
    text += fmt::format("{}{} {:.4g}{}{}", text.empty() ? "" : ", ", parameter.name, values[i],
                        parameter.unit.empty() ? "" : " ", parameter.unit);
  }
  return text.empty() ? "neutral" : text;
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
  std::size_t width = std::string_view("master").size();
  for (const auto& track : sheet.tracks) width = std::max(width, track.name.size());
  std::string text;
  for (const auto& track : sheet.tracks) {
    text += fmt::format("  {:<{}}  {}\n", track.name, width, mix_sheet::changed_text(kTrackParameters, track.values));
  }
  text += fmt::format("  {:<{}}  {}\n", "master", width, mix_sheet::changed_text(kMasterParameters, sheet.master));
  if (!sheet.reverb.empty()) {
    text += fmt::format("  {:<{}}  {}\n", "reverb", width, mix_sheet::changed_text(kReverbParameters, sheet.reverb));
  }
  return text;
}

}  // namespace melisma
