#include "train/engine/overtraining_monitor.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "eval/statistics/trend.h"
#include "tools/base/error.h"
#include "tools/base/table.h"

namespace melisma {
namespace {

using History = std::vector<Evaluation>;
using Json = nlohmann::ordered_json;

Decision decide_patience(const OvertrainingConfig& config, const History& history) {
  double reference = std::numeric_limits<double>::infinity();
  std::int64_t reference_epoch = 0, since = 0;
  for (const auto& evaluation : history) {
    if (evaluation.score < reference && reference - evaluation.score >= config.min_delta) {
      reference = evaluation.score;
      reference_epoch = evaluation.epoch;
      since = 0;
    } else {
      ++since;
    }
  }
  if (since < config.patience) return Decision::go_on();
  if (reference_epoch == 0) return Decision::stop(fmt::format("no finite score in {} evaluations", since));
  return Decision::stop(fmt::format("no improvement since epoch {}", reference_epoch));
}

// The values of the last `window` evaluations; empty while there are fewer or one of them is not finite.
template <class Value>
std::vector<double> last_values(const History& history, std::int64_t window, const Value& value) {
  std::vector<double> values;
  if (std::ssize(history) < window) return values;
  for (auto it = history.end() - window; it != history.end(); ++it) {
    values.push_back(value(*it));
    if (!std::isfinite(values.back())) return {};
  }
  return values;
}

bool is_rising(const std::vector<double>& values, double alpha) {
  return !values.empty() && mann_kendall(values).p_rising <= alpha;
}

bool is_falling(const std::vector<double>& values, double alpha) {
  return !values.empty() && mann_kendall(values).p_falling <= alpha;
}

Decision decide_trend(const OvertrainingConfig& config, const History& history) {
  const auto scores = last_values(history, config.window, [](const Evaluation& e) { return e.score; });
  if (!is_rising(scores, config.alpha)) return Decision::go_on();
  return Decision::stop(fmt::format("{} has been rising over the last {} evaluations (Mann-Kendall p = {:.2g})",
                                    config.metric, config.window, mann_kendall(scores).p_rising));
}

Decision decide_gap(const OvertrainingConfig& config, const History& history) {
  const auto training = last_values(history, config.window, [](const Evaluation& e) { return e.training_score; });
  const auto gaps = last_values(history, config.window, [](const Evaluation& e) { return e.score - e.training_score; });
  if (!is_rising(gaps, config.alpha) || !is_falling(training, config.alpha)) return Decision::go_on();
  return Decision::stop(
      fmt::format("over the last {} evaluations {} fell on training clips while its distance to "
                  "held-out clips grew from {:.4g} to {:.4g}",
                  config.window, config.metric, gaps.front(), gaps.back()));
}

Decision decide_off(const OvertrainingConfig&, const History&) { return Decision::go_on(); }

struct Rule {
  std::string_view name;
  Decision (*decide)(const OvertrainingConfig& config, const History& history);
};
constexpr std::array kRules{Rule{"patience", decide_patience}, Rule{"trend", decide_trend}, Rule{"gap", decide_gap},
                            Rule{"off", decide_off}};
static_assert(kRules.size() == kOvertrainingRules.size());

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

double number_from(const Json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

}  // namespace

OvertrainingMonitor::OvertrainingMonitor(const OvertrainingConfig& config, History history)
    : config_(config), history_(std::move(history)) {
  (void)find_row(kRules, config.rule, "overtraining rule");
}

void OvertrainingMonitor::observe_each(std::initializer_list<double> scores) {
  for (const double score : scores) {
    const auto epoch = std::ssize(history_) + 1;
    observe({.epoch = epoch, .step = epoch, .score = score});
  }
}

Decision OvertrainingMonitor::before_epoch(std::int64_t epoch) const {
  History before;
  for (const auto& evaluation : history_) {
    if (evaluation.epoch <= epoch && !evaluation.is_extra) before.push_back(evaluation);
  }
  return find_row(kRules, config_.rule, "overtraining rule").decide(config_, before);
}

std::optional<Evaluation> OvertrainingMonitor::best() const {
  std::optional<Evaluation> best;
  for (const auto& evaluation : history_) {
    if (std::isfinite(evaluation.score) && (!best || evaluation.score < best->score)) best = evaluation;
  }
  return best;
}

std::string evaluations_to_json(const History& evaluations) {
  auto array = Json::array();
  for (const auto& e : evaluations) {
    array.push_back({{"epoch", e.epoch},
                     {"step", e.step},
                     {"score", number(e.score)},
                     {"training_score", number(e.training_score)}});
    if (e.is_extra) array.back()["is_extra"] = true;
  }
  return array.dump();
}

History evaluations_from_json(const std::string& text) {
  try {
    History evaluations;
    for (const auto& item : Json::parse(text)) {
      evaluations.push_back({.epoch = item.at("epoch").get<std::int64_t>(),
                             .step = item.at("step").get<std::int64_t>(),
                             .score = number_from(item.at("score")),
                             .training_score = number_from(item.at("training_score")),
                             .is_extra = item.value("is_extra", false)});
    }
    return evaluations;
  } catch (const nlohmann::json::exception& problem) {
    fail(ErrorKind::checkpoint, "the history of evaluations is damaged: {}", problem.what());
  }
}

std::string OvertrainingMonitor::state() const {
  return Json{{"rule", config_.rule},
              {"metric", config_.metric},
              {"patience", config_.patience},
              {"min_delta", config_.min_delta},
              {"window", config_.window},
              {"alpha", config_.alpha},
              {"evaluations", Json::parse(evaluations_to_json(history_))}}
      .dump();
}

OvertrainingMonitor OvertrainingMonitor::from_state(const std::string& state) {
  try {
    const auto json = Json::parse(state);
    OvertrainingConfig config{.rule = json.at("rule").get<std::string>(),
                              .metric = json.at("metric").get<std::string>(),
                              .patience = json.at("patience").get<std::int64_t>(),
                              .min_delta = json.at("min_delta").get<double>(),
                              .window = json.at("window").get<std::int64_t>(),
                              .alpha = json.at("alpha").get<double>()};
    return OvertrainingMonitor(config, evaluations_from_json(json.at("evaluations").dump()));
  } catch (const nlohmann::json::exception& problem) {
    fail(ErrorKind::checkpoint, "the overtraining monitor's state is damaged: {}", problem.what());
  }
}

}  // namespace melisma
