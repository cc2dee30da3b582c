// What `melisma prepare` says at the end: a table for people, JSON for programs.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "train/prepare/prepare.h"

namespace melisma {

[[nodiscard]] std::string text_of(const PrepareReport& report);
[[nodiscard]] nlohmann::ordered_json json_of(const PrepareReport& report);

}  // namespace melisma
