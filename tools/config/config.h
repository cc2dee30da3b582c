// Loading, overriding, printing, explaining, comparing and hashing settings. Order of precedence: defaults < file <
// --set.
#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/config/schema.h"

namespace melisma {

// Loads a TOML file, then applies "key.path=value" overrides. Unknown keys, wrong types, values out of range: every
// problem is collected and thrown as one Error(config), each on its line with file:line:column and, for unknown keys,
// did-you-mean.
void configure(Schema& schema, const std::optional<std::filesystem::path>& file,
               std::span<const std::string> overrides);

// The same from TOML text; `source` names it in messages.
void configure_from_text(Schema& schema, std::string_view toml, const std::string& source,
                         std::span<const std::string> overrides = {});

// Loads a TOML file that is a list of tables, each with a name that says whose settings the others are:
//
//   [[effect]]
//   name = "delay"
//   time_ms = 250
//
// `open` gives the schema of a name, or throws; it is called once a table, in order, and what it refers to must outlive
// the call. Problems are collected as in configure().
void configure_sequence(const std::filesystem::path& file, std::string_view list,
                        const std::function<Schema(const std::string& name)>& open);

// Every setting as TOML that loads back to the same values.
[[nodiscard]] std::string to_toml(const Schema& schema);

// Nested JSON object in field order; from_json accepts the same (missing keys keep their values, unknown ones are
// errors).
[[nodiscard]] nlohmann::ordered_json to_json(const Schema& schema);
void from_json(Schema& schema, const nlohmann::ordered_json& object, const std::string& source);

struct SettingDifference {
  std::string path, left, right;  // values as TOML
};
// Settings whose values differ between two schemas of the same struct.
[[nodiscard]] std::vector<SettingDifference> differences(const Schema& left, const Schema& right);

// 8 hex digits that name what is computed: a hash of the settings that differ from the defaults and affect the result.
template <HasFields Config>
[[nodiscard]] std::string signature_of(const Config& config);
[[nodiscard]] std::string signature_of(const Schema& defaults, const Schema& chosen);

// What `melisma config explain` prints: one block a setting.
[[nodiscard]] std::string explain(const Schema& schema);
// The same as a Markdown table.
[[nodiscard]] std::string markdown_reference(const Schema& schema);

template <HasFields Config>
std::string signature_of(const Config& config) {
  Config defaults, copy = config;
  return signature_of(schema_of(defaults), schema_of(copy));
}

}  // namespace melisma
