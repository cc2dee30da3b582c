// What `melisma match` says of what it found and did, as JSON and as lines.
#pragma once
#include <nlohmann/json.hpp>

#include "tools/actions/match_sources.h"

namespace melisma {

// Levels, corrections and limiting; in mode improved also loudness and true peak before and after.
[[nodiscard]] nlohmann::ordered_json match_report(const MatchedTarget& made, const std::vector<MatchStep>& steps);

// The same in two or three lines.
void print_match_summary(const MatchedTarget& made);

// What is wrong with the result, if anything is.
[[nodiscard]] std::string match_warning(const MatchedTarget& made);

}  // namespace melisma
