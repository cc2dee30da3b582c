// Values between TOML and JSON: the one place that knows how each is written.
#pragma once
#include <toml++/toml.h>

#include <nlohmann/json.hpp>
#include <string>

namespace melisma {

// Dates and times become text; a table becomes an empty object.
[[nodiscard]] nlohmann::ordered_json json_of_node(const toml::node& node);

// A value as TOML on one line; numbers read back to the same bits.
[[nodiscard]] std::string toml_value(const nlohmann::ordered_json& value);

}  // namespace melisma
