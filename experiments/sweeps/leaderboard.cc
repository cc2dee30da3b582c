#include "experiments/sweeps/leaderboard.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "experiments/report/html.h"
#include "experiments/report/sections.h"
#include "tools/base/clock.h"
#include "tools/base/format.h"
#include "tools/base/text_table.h"

namespace melisma {
namespace {
using Json = nlohmann::ordered_json;

constexpr std::size_t kCurves = 5;  // besides the baseline's

Json number_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

std::string settings_text(const TrialStanding& standing) {
  return standing.is_baseline ? "as all trials share" : fmt::format("{}", fmt::join(standing.trial.settings, " "));
}

// "0.8123", or of several seeds "0.8123 (0.8011 to 0.8207)".
std::string score_text(const TrialStanding& standing) {
  if (standing.scores.empty()) return "";
  if (standing.scores.size() == 1) return format_value(standing.mean());
  const auto [low, high] = std::ranges::minmax(standing.scores);
  return fmt::format("{} ({} to {})", format_value(standing.mean()), format_value(low), format_value(high));
}

std::string test_text(const TrialStanding& standing) {
  if (!standing.test) return "";
  const auto& test = *standing.test;
  if (!std::isfinite(test.low)) return format_value(test.mean) + ", one recording, no interval";
  return fmt::format("{} [{}, {}]", format_value(test.mean), format_value(test.low), format_value(test.high));
}

std::vector<std::vector<std::string>> rows_of(const Leaderboard& board) {
  std::vector<std::vector<std::string>> rows{
      {"trial", "state", "epochs", "held-out " + board.plan.metric, "test [95 %]", "settings"}};
  for (const auto& standing : board.standings) {
    rows.push_back({standing.trial.name, standing.state, standing.epochs > 0 ? fmt::to_string(standing.epochs) : "",
                    score_text(standing), test_text(standing), settings_text(standing)});
  }
  return rows;
}

const TrialStanding* standing_of(const Leaderboard& board, const std::string& name) {
  for (const auto& standing : board.standings) {
    if (standing.trial.name == name) return &standing;
  }
  return nullptr;
}

// The winner against the baseline where both are scored on clips that nothing was selected on.
std::string test_sentence(const TrialStanding& winner, const TrialStanding& baseline) {
  if (!winner.test) return "The winner has not been scored on the test split.";
  auto text =
      fmt::format("On the test split, which nothing was selected on, {} has {}", winner.trial.name, test_text(winner));
  if (!baseline.test) return text + ".";
  text += fmt::format("; the baseline {}.", test_text(baseline));
  if (!std::isfinite(winner.test->low) || !std::isfinite(baseline.test->low)) return text;
  if (winner.test->high < baseline.test->low) return text + " Their intervals are apart: it is better.";
  if (winner.test->low > baseline.test->high) return text + " Their intervals are apart: it is worse.";
  return text + " Their intervals overlap; melisma compare pairs them by recording.";
}

// What the numbers allow to be said.
std::vector<std::string> conclusions(const Leaderboard& board) {
  const auto* baseline = standing_of(board, board.plan.baseline.name);
  const auto n_trials = board.plan.trials.size();
  std::vector<std::string> said{fmt::format(
      "{} of {} known jobs have ended; {} are compared by {} ({}), lower is better.", board.jobs.done, board.jobs.all,
      format_amount(static_cast<double>(n_trials), "trials"), board.plan.metric, board.plan.config.method)};
  if (!board.winner || baseline == nullptr) return said;
  const auto* winner = standing_of(board, board.winner->name);
  auto text = fmt::format("The best is {}: {} {} on held-out recordings", winner->trial.name, board.plan.metric,
                          score_text(*winner));
  if (!baseline->scores.empty()) {
    const bool is_better = winner->mean() < baseline->mean();
    text += fmt::format("; the baseline has {}{}", score_text(*baseline),
                        is_better ? "" : ", so no trial is better than what all share");
  }
  said.push_back(text + fmt::format(". It is the best of {}, so that number flatters it.", n_trials));
  if (board.plan.config.test) said.push_back(test_sentence(*winner, *baseline));
  return said;
}

}  // namespace

Leaderboard leaderboard_of(const Sweep& sweep, const JobQueue& queue) {
  return {sweep.plan(), sweep.standing(queue), sweep.winner(queue), sweep.count(queue)};
}

std::string to_table(const Leaderboard& board) {
  auto text = fmt::format("sweep {} of {} on {}\n\n{}\n", board.plan.config.name, board.plan.config.recipe,
                          board.plan.config.dataset, text_table(rows_of(board)));
  for (const auto& sentence : conclusions(board)) text += sentence + "\n";
  return text;
}

Json to_json(const Leaderboard& board) {
  auto trials = Json::array();
  for (const auto& standing : board.standings) {
    Json trial{{"trial", standing.trial.name},
               {"is_baseline", standing.is_baseline},
               {"settings", standing.trial.settings},
               {"state", standing.state},
               {"epochs", standing.epochs},
               {"held_out", number_json(standing.mean())},
               {"held_out_of_seeds", standing.scores},
               {"runs", standing.run_ids},
               {"test", nullptr}};
    if (standing.test) {
      trial["test"] = {{"mean", number_json(standing.test->mean)},
                       {"low", number_json(standing.test->low)},
                       {"high", number_json(standing.test->high)}};
    }
    trials.push_back(std::move(trial));
  }
  auto rungs = Json::array();
  for (const auto& rung : board.plan.rungs) rungs.push_back({{"trials", rung.n_trials}, {"epochs", rung.epochs}});
  return {{"sweep", board.plan.config.name},
          {"recipe", board.plan.config.recipe},
          {"dataset", board.plan.config.dataset},
          {"method", board.plan.config.method},
          {"metric", board.plan.metric},
          {"rungs", std::move(rungs)},
          {"jobs", {{"done", board.jobs.done}, {"all", board.jobs.all}}},
          {"winner", board.winner ? Json(board.winner->name) : Json(nullptr)},
          {"trials", std::move(trials)},
          {"conclusions", conclusions(board)}};
}

std::string leaderboard_html(const Leaderboard& board, const std::filesystem::path& workspace) {
  const auto title = html_escaped("Sweep " + board.plan.config.name);
  std::string said;
  for (const auto& sentence : conclusions(board)) said += "<p>" + html_escaped(sentence) + "</p>";
  auto rows = rows_of(board);
  for (auto& row : rows) {
    for (auto& cell : row) cell = html_escaped(cell);
    if (board.winner && row.front() == board.winner->name)
      row.front() = R"(<b class="good-text">)" + row.front() + "</b>";
  }
  std::vector<RunRecord> records;
  for (const auto& standing : board.standings) {
    if (standing.run_ids.empty() || standing.run_ids.front().empty()) continue;
    if (records.size() >= kCurves && !standing.is_baseline) continue;
    records.push_back(read_run_record(Run::open(workspace, standing.run_ids.front())));
  }
  return fmt::format(
      R"(<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" )"
      R"(content="width=device-width,initial-scale=1"><title>{0}: Melisma sweep</title><style>{1}</style></head><body>)"
      R"(<header><h1>{0}</h1><p class="quiet">A Melisma sweep, {2}</p></header><main><section>{3}{4}</section>{5}</main>)"
      R"(<footer>Held-out numbers are those that trials were selected on; test numbers are of recordings that nothing was )"
      R"(selected on, with 95 % bootstrap intervals over recordings.</footer></body></html>)"
      "\n",
      title, report_style(), utc_now(), said, html_table(rows, "Every trial, the best first"),
      comparison_section(records));
}

}  // namespace melisma
