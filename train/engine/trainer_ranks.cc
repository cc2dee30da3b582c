// What several ranks of one training agree on. With one rank each of these is what it says without anybody to ask.
#include <fmt/format.h>

#include "tools/base/error.h"
#include "train/engine/trainer.h"

namespace melisma {
namespace {

void add_tensors(const StateDict& named, std::vector<at::Tensor>& tensors) {
  for (const auto& [name, tensor] : named) tensors.push_back(tensor);
}

}  // namespace

const std::vector<CheckpointEntry>& Trainer::checkpoints() const {
  static const std::vector<CheckpointEntry> none;
  return store_ ? store_->entries() : none;
}

// Every rank goes on from rank 0's weights, moments, averages and place, whatever it was made with.
void Trainer::share_state() {
  if (ranks_.is_alone()) return;
  std::vector<at::Tensor> tensors;
  for (const auto& turn : turns_) {
    add_tensors(turn.network.module->state_dict(), tensors);
    add_tensors(turn.optimizer->state(), tensors);
  }
  ranks_.copy_from_first(tensors);
  for (const auto& turn : turns_) {
    if (average_ == nullptr || turn.network.name != task_.main_network()) continue;
    const AveragedWeights in_place(average_.get());
    tensors.clear();
    add_tensors(turn.network.module->state_dict(), tensors);
    ranks_.copy_from_first(tensors);
  }
  const auto threads = state_.threads;
  state_ = TrainState::from_json(ranks_.text_of_first(state_.to_json()));
  state_.threads = threads;
  scaler_.restore(state_.loss_scale, state_.steps_at_scale);
  monitor_ = OvertrainingMonitor(plan_.overtraining, state_.evaluations);
}

// Whether another epoch may start, as rank 0 says.
Decision Trainer::decide() {
  const auto reason = ranks_.text_of_first(monitor_.before_epoch(state_.epochs_done + 1).reason);
  return reason.empty() ? Decision::go_on() : Decision::stop(reason);
}

// Rank 0's answer, for what depends on its clock.
bool Trainer::first_says(bool answer) { return ranks_.largest(ranks_.is_first() && answer ? 1 : 0) != 0; }

NamedValues Trainer::of_first(NamedValues values) {
  std::vector<double> numbers;
  for (const auto& [name, value] : values) numbers.push_back(value);
  numbers = ranks_.numbers_of_first(std::move(numbers));
  for (std::size_t i = 0; i < values.size(); ++i) values[i].second = numbers[i];
  return values;
}

// After a rank was lost: one of those left, which need not be rank 0, saves the last whole step. Says what came of it.
std::string Trainer::save_what_is_left() {
  if (!ranks_.leads_what_is_left()) return "another rank saves what there is";
  if (state_.step == 0) return "no step was trained yet";
  backup_.restore();
  try {
    if (!store_) store_ = std::make_unique<CheckpointStore>(plan_.checkpoint_folder, plan_.checkpoints, plan_.run);
    if (checkpoints().empty() || checkpoints().back().step != state_.step) save(false);
  } catch (const Error& error) {
    return fmt::format("nothing could be saved: {}", error.message());
  }
  return fmt::format("everything up to epoch {}, step {} is saved in '{}'; go on with --resume", state_.epoch(),
                     state_.step, checkpoints().back().folder.string());
}

}  // namespace melisma
