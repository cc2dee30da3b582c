// The settings in a resolved TOML file, without knowing whose they are.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "tools/config/config.h"

namespace melisma {

// A setting and its value as TOML on one line: {"trainer.epochs", "20"}.
struct FlatSetting {
  std::string path, value;
  bool operator==(const FlatSetting&) const = default;
};

// Every leaf, sorted by path. Throws Error(config) with `source`, line and column if the text is not TOML.
[[nodiscard]] std::vector<FlatSetting> flatten_toml(std::string_view toml, const std::string& source);

// What differs between two such files, sorted by path; "" where one lacks a setting, so that files of different recipes
// or versions can be compared.
[[nodiscard]] std::vector<SettingDifference> differences(const std::vector<FlatSetting>& left,
                                                         const std::vector<FlatSetting>& right);

}  // namespace melisma
