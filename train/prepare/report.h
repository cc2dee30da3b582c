// What `melisma prepare` says at the end: a table for people, JSON for programs.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "train/prepare/prepare.h"

namespace melisma {

// A line a file and its fate; of many files a line a fate with the first few names.
[[nodiscard]] std::string files_text(const std::vector<RecordingRow>& rows);
// How many files have each fate.
[[nodiscard]] nlohmann::ordered_json fates_json(const std::vector<RecordingRow>& rows);

[[nodiscard]] std::string text_of(const PrepareReport& report);
[[nodiscard]] nlohmann::ordered_json json_of(const PrepareReport& report);

// One of the two on stdout.
void print_report(const std::string& text, const nlohmann::ordered_json& json, bool as_json);

}  // namespace melisma
