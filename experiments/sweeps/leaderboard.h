// What came of a sweep: a table, JSON, and a self-contained page.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "experiments/sweeps/sweep.h"

namespace melisma {

// A sweep as far as it has come.
struct Leaderboard {
  SweepPlan plan;
  std::vector<TrialStanding> standings;  // the best first
  std::optional<SweepTrial> winner;
  Sweep::Count jobs;
};
[[nodiscard]] Leaderboard leaderboard_of(const Sweep& sweep, const JobQueue& queue);

// One row a trial, the baseline among them, and what may be concluded in sentences.
[[nodiscard]] std::string to_table(const Leaderboard& board);
[[nodiscard]] nlohmann::ordered_json to_json(const Leaderboard& board);

// The page: conclusions, the table, and the held-out curves of the best trials beside the baseline's. No script, no
// network.
[[nodiscard]] std::string leaderboard_html(const Leaderboard& board, const std::filesystem::path& workspace);

}  // namespace melisma
