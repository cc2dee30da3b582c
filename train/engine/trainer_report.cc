// What the trainer tells the outside: progress, a line an interval, a line a validation.
#include <fmt/format.h>

#include <cmath>

#include "train/engine/trainer.h"

namespace melisma {

double Trainer::seconds_left() const {
  if (steps_here_ == 0) return 0;
  const auto epoch = state_.epochs_done + 1;
  const auto steps_of_epoch = static_cast<double>(steps_per_epoch(epoch));
  const auto done = static_cast<double>(state_.epochs_done) +
                    static_cast<double>(state_.batches_done) / static_cast<double>(loader_.n_batches(epoch));
  const double steps_left = (static_cast<double>(plan_.trainer.epochs) - done) * steps_of_epoch;
  return std::max(0.0, steps_left) * since_start_.seconds() / static_cast<double>(steps_here_);
}

void Trainer::report_progress(std::int64_t n_batches) {
  events_.receive(ProgressEvent{.task = fmt::format("epoch {}/{}", state_.epochs_done + 1, plan_.trainer.epochs),
                                .done = static_cast<double>(state_.batches_done),
                                .total = static_cast<double>(n_batches),
                                .unit = "batches",
                                .details = {}});
}

void Trainer::log_interval() {
  read_bad_steps();
  end_if_diverged(fmt::format("or before step {}", state_.step), "a loss or gradient was not finite");
  auto values = means_.means(ranks_);
  if (values.empty()) return;  // nothing since the last line
  for (const auto& [network, config] : plan_.optimizers) {
    values.emplace_back("lr/" + network,
                        learning_rate(config, state_.epoch(), state_.step - 1, steps_per_epoch(state_.epoch())));
  }
  if (scaler_.is_on()) {
    values.emplace_back("loss_scale", scaler_.scale());
    values.emplace_back("overflowed_steps", static_cast<double>(state_.overflowed_steps));
  }
  values.emplace_back("items_per_second", static_cast<double>(items_since_log_) / seconds_since_log_);
  values.emplace_back("seconds_left", seconds_left());
  events_.receive(ScalarsEvent{.step = state_.step, .epoch = state_.epoch(), .phase = "train", .values = values});
  items_since_log_ = 0;
  seconds_since_log_ = 0;
  since_log_.restart();
}

void Trainer::report_validation(const NamedValues& values, const Evaluation& evaluation) {
  NamedValues tagged;
  for (const auto& [name, value] : values) tagged.emplace_back("validation/" + name, value);
  if (std::isfinite(evaluation.training_score)) {
    tagged.emplace_back("training_clips/" + plan_.overtraining.metric, evaluation.training_score);
  }
  events_.receive(
      ScalarsEvent{.step = state_.step, .epoch = state_.epoch(), .phase = "validation", .values = std::move(tagged)});
  const auto best = monitor_.best();
  auto line =
      fmt::format("epoch {} | held-out {} {:.5g}", evaluation.epoch, plan_.overtraining.metric, evaluation.score);
  if (!monitor_.history().empty()) {
    line += fmt::format(" ({:+.3g} since epoch {})", evaluation.score - monitor_.history().back().score,
                        monitor_.history().back().epoch);
  }
  const bool is_best = !best || evaluation.score < best->score;
  line += is_best ? " | the best so far" : fmt::format(" | best {:.5g} at epoch {}", best->score, best->epoch);
  say(events_, line);
}

}  // namespace melisma
