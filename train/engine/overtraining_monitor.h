// Decides before each epoch whether it may start, from the history of a held-out metric. Never from a training loss,
// never from one batch. Torch-free.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "train/engine/trainer_config.h"

namespace melisma {

// One scoring of held-out clips; lower is better.
struct Evaluation {
  std::int64_t epoch = 0, step = 0;  // finished when it was made
  double score = 0;                  // NaN never counts as an improvement
  // The same metric on training clips, where the rule asks for it; NaN otherwise.
  double training_score = std::numeric_limits<double>::quiet_NaN();
  // Made only because training ended here: it can be the best, but no rule counts it, so that a run that is lengthened
  // decides as one that was never ended.
  bool is_extra = false;
};

struct Decision {
  bool stops = false;
  std::string reason;  // empty when training goes on
  static Decision stop(std::string why) { return {true, std::move(why)}; }
  static Decision go_on() { return {}; }
  bool operator==(const Decision&) const = default;
};

// Rules: `patience` (no fall of at least min_delta in `patience` evaluations), `trend` (a Mann-Kendall test on the last
// `window` evaluations says "rising" at level alpha), `gap` (over the same window the distance to the training clips'
// score rises while that score falls, both at level alpha), `off`.
class OvertrainingMonitor {
 public:
  // Throws Error(config) with did-you-mean for an unknown rule.
  explicit OvertrainingMonitor(const OvertrainingConfig& config, std::vector<Evaluation> history = {});

  void observe(const Evaluation& evaluation) { history_.push_back(evaluation); }
  // Scores of epochs 1, 2, ... in turn.
  void observe_each(std::initializer_list<double> scores);
  // Whether `epoch` (counted from 1) may start. Asks the history only: the answer after a resume is the same.
  [[nodiscard]] Decision before_epoch(std::int64_t epoch) const;
  [[nodiscard]] bool needs_training_score() const { return config_.rule == "gap"; }
  // The evaluation with the lowest score (the first of equals); nothing before there is a finite one.
  [[nodiscard]] std::optional<Evaluation> best() const;
  [[nodiscard]] const std::vector<Evaluation>& history() const { return history_; }

  // The history and the settings as JSON, every double exactly; from_state() takes it back.
  [[nodiscard]] std::string state() const;
  static OvertrainingMonitor from_state(const std::string& state);

 private:
  OvertrainingConfig config_;
  std::vector<Evaluation> history_;
};

// Evaluations as a JSON array and back; throws Error(checkpoint) if `text` is something else.
[[nodiscard]] std::string evaluations_to_json(const std::vector<Evaluation>& evaluations);
[[nodiscard]] std::vector<Evaluation> evaluations_from_json(const std::string& text);

}  // namespace melisma
