#include "tools/config/toml_value.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <sstream>
#include <vector>

namespace melisma {
namespace {

using Json = nlohmann::ordered_json;

std::string toml_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  auto text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// A basic string of TOML is one of JSON, but for the delete character, which TOML wants escaped.
std::string toml_text(const Json& value) {
  auto text = value.dump();
  for (auto at = text.find('\x7f'); at != std::string::npos; at = text.find('\x7f', at)) text.replace(at, 1, "\\u007f");
  return text;
}

}  // namespace

Json json_of_node(const toml::node& node) {
  if (const auto* value = node.as_boolean()) return value->get();
  if (const auto* value = node.as_integer())
    return value->get() < 0 ? Json(value->get()) : Json(static_cast<std::uint64_t>(value->get()));
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* list = node.as_array()) {
    auto items = Json::array();
    for (const auto& item : *list) items.push_back(json_of_node(item));
    return items;
  }
  if (node.is_table()) return Json::object();
  std::ostringstream text;
  node.visit([&text](const auto& value) { text << value; });
  return std::move(text).str();
}

std::string toml_value(const Json& value) {
  if (value.is_number_float()) return toml_number(value.get<double>());
  if (value.is_string()) return toml_text(value);
  if (!value.is_array()) return value.dump();
  std::vector<std::string> items;
  for (const auto& item : value) items.push_back(toml_value(item));
  return fmt::format("[{}]", fmt::join(items, ", "));
}

}  // namespace melisma
