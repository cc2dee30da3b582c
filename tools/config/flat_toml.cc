#include "tools/config/flat_toml.h"

#include <algorithm>
#include <map>

#include "tools/base/error.h"
#include "tools/config/toml_value.h"

namespace melisma {
namespace {

void flatten(const toml::table& table, const std::string& prefix, std::vector<FlatSetting>& flat) {
  for (const auto& [key, node] : table) {
    const auto path = prefix + std::string(key.str());
    if (const auto* inner = node.as_table()) {
      flatten(*inner, path + ".", flat);
      continue;
    }
    flat.push_back({path, toml_value(json_of_node(node))});
  }
}

std::map<std::string, std::string> by_path(const std::vector<FlatSetting>& settings) {
  std::map<std::string, std::string> map;
  for (const auto& setting : settings) map.emplace(setting.path, setting.value);
  return map;
}

}  // namespace

std::vector<FlatSetting> flatten_toml(std::string_view toml, const std::string& source) {
  std::vector<FlatSetting> flat;
  try {
    flatten(toml::parse(toml, source), "", flat);
  } catch (const toml::parse_error& error) {
    fail(ErrorKind::config, "{}:{}:{}: {}", source, error.source().begin.line, error.source().begin.column,
         error.description());
  }
  std::sort(flat.begin(), flat.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return flat;
}

std::vector<SettingDifference> differences(const std::vector<FlatSetting>& left,
                                           const std::vector<FlatSetting>& right) {
  const auto a = by_path(left), b = by_path(right);
  std::map<std::string, SettingDifference> found;
  for (const auto& [path, value] : a) {
    const auto other = b.find(path);
    if (other == b.end() || other->second != value) found[path] = {path, value, other == b.end() ? "" : other->second};
  }
  for (const auto& [path, value] : b) {
    if (!a.contains(path)) found[path] = {path, "", value};
  }
  std::vector<SettingDifference> differences;
  for (auto& [path, difference] : found) differences.push_back(std::move(difference));
  return differences;
}

}  // namespace melisma
