#include "train/engine/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/base/error.h"
#include "tools/base/stop.h"
#include "tools/base/table.h"
#include "train/engine/precision.h"

namespace melisma {
namespace {

const OptimizerConfig& optimizer_config(const TrainingPlan& plan, const std::string& network) {
  for (const auto& [name, config] : plan.optimizers) {
    if (name == network) return config;
  }
  fail(ErrorKind::internal, "no optimizer settings for the network '{}'", network);
}

std::vector<Turn> make_turns(Task& task, const TrainingPlan& plan) {
  std::vector<Turn> turns;
  for (const auto& network : task.networks()) {
    if (!plan.device.is_cpu()) network.module->to(plan.device);
    turns.push_back({network, std::make_unique<AdamW>(*network.module, optimizer_config(plan, network.name))});
  }
  return turns;
}

std::unique_ptr<WeightAverage> make_average(Task& task, double decay) {
  if (decay <= 0) return nullptr;
  for (const auto& network : task.networks()) {
    if (network.name == task.main_network()) return std::make_unique<WeightAverage>(*network.module, decay);
  }
  fail(ErrorKind::internal, "the task has no network '{}' to average", task.main_network());
}

// Of all ranks.
std::int64_t items_of(std::span<const Batch> micro_batches) {
  std::int64_t n_items = 0;
  for (const auto& batch : micro_batches) n_items += batch.of_all();
  return n_items;
}

std::unique_ptr<CheckpointStore> make_store(const TrainingPlan& plan) {
  return std::make_unique<CheckpointStore>(plan.checkpoint_folder, plan.checkpoints, plan.run);
}

// The watched metric; Error(config) with did-you-mean if the task does not measure it.
double watched_score(const NamedValues& values, const std::string& metric) {
  std::vector<std::string> names;
  for (const auto& [name, value] : values) {
    if (name == metric) return value;
    names.push_back(name);
  }
  throw Error(ErrorKind::config, unknown_name_message("overtraining metric", metric, names));
}

}  // namespace

Trainer::Trainer(Task& task, const Loader& loader, TrainingPlan plan, EventSink& events, Ranks& ranks)
    : task_(task),
      loader_(loader),
      plan_(std::move(plan)),
      events_(events),
      ranks_(ranks),
      store_(ranks.is_first() ? make_store(plan_) : nullptr),
      turns_(make_turns(task, plan_)),
      scaler_(plan_.trainer.precision == "fp16" ? LossScaler(plan_.device) : LossScaler()),
      feed_(loader, plan_.trainer.accumulation, plan_.device),
      average_(make_average(task, plan_.trainer.ema_decay)),
      monitor_(plan_.overtraining) {
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/!plan_.device.is_cpu());
  if (plan_.device.is_cuda()) set_gpu_products(plan_.trainer.precision);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  state_.seed = plan_.trainer.seed;
  state_.threads = at::get_num_threads();
  state_.ranks = ranks_.shard().size;
  state_.device = c10::DeviceTypeName(plan_.device.type(), /*lower_case=*/true);
  state_.loss_scale = scaler_.scale();
  task_.share_with(ranks_);
  std::vector<std::pair<std::string, Module::NamedTensors>> networks;
  for (const auto& turn : turns_) networks.emplace_back(turn.network.name, turn.network.module->trainable_parameters());
  ranks_.join(networks);
}

void Trainer::resume(std::string_view which) {
  if (!store_) return;  // rank 0 shares what it reads
  const auto& entry = store_->choose(which);
  verify_checkpoint(entry);
  auto saved = read_training_files(entry.folder, parts());
  warn_if_different("thread", "--threads", saved.threads, state_.threads);
  warn_if_different("rank", "--processes", saved.ranks, state_.ranks);
  warn_if_moved(saved.device);
  saved.device = state_.device;
  saved.threads = state_.threads;
  saved.ranks = state_.ranks;
  state_ = std::move(saved);
  if (state_.seed != plan_.trainer.seed) {
    fail(ErrorKind::config, "the run was trained with seed {} and cannot continue with {}", state_.seed,
         plan_.trainer.seed);
  }
  scaler_.restore(state_.loss_scale, state_.steps_at_scale);
  monitor_ = OvertrainingMonitor(plan_.overtraining, state_.evaluations);
  saved_step_ = state_.step;
}

void Trainer::warn_if_different(std::string_view what, std::string_view option, std::int64_t then, std::int64_t now) {
  if (then == now) return;
  warn(events_,
       fmt::format("this run was trained with {} {}{} until now and continues with {}: sums differ in the last "
                   "bit, so it will not equal an uninterrupted run ({} {} would)",
                   then, what, then == 1 ? "" : "s", now, option, then));
}

void Trainer::warn_if_moved(const std::string& then) {
  if (then == state_.device) return;
  warn(events_,
       fmt::format("this run was trained on {} until now and continues on {}: sums differ in the last bits, so "
                   "it will not equal an uninterrupted run (trainer.device = \"{}\" would)",
                   then, state_.device, then));
}

TrainingOutcome Trainer::run() {
  since_start_.restart();
  try {
    share_state();
    for (;;) {
      const auto decision = decide();
      if (decision.stops || state_.epochs_done >= plan_.trainer.epochs) return finish(decision);
      train_epoch();
      after(/*is_epoch_end=*/true);
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::network) throw;
    fail(ErrorKind::network, "{}; {}", error.message(), save_what_is_left());
  }
}

void Trainer::train_epoch() {
  const auto epoch = state_.epochs_done + 1;
  const auto n_batches = loader_.n_batches(epoch);
  while (state_.batches_done < n_batches) {
    const Stopwatch since_step;
    const auto micro_batches = feed_.take(epoch, state_.batches_done);
    train_step(epoch, micro_batches);
    seconds_since_log_ += since_step.seconds();
    state_.step += 1;
    state_.batches_done += std::ssize(micro_batches);
    state_.samples_seen += items_of(micro_batches);
    items_since_log_ += items_of(micro_batches);
    steps_here_ += 1;
    report_progress(n_batches);
    after(/*is_epoch_end=*/false);
  }
  state_.epochs_done = epoch;
  state_.batches_done = 0;
  epochs_here_ += 1;
}

// Each network's turn: gradients of all micro-batches, their norm, clipping, update. Once something is not finite, that
// network and those after it stay as they are.
void Trainer::train_step(std::int64_t epoch, std::span<const Batch> micro_batches) {
  auto bad = at::zeros({}, at::TensorOptions(plan_.device).dtype(at::kBool));
  diverged_.clear();
  task_.begin_step(micro_batches);
  for (std::size_t turn = 0; turn < turns_.size(); ++turn) bad = take_turn(turn, micro_batches, bad);
  means_.end_step(bad);
  if (average_) average_->update();
  backup_.forget();
  bad_steps_.add(bad, scaler_.is_on() ? bad.logical_and(scaler_.can_shrink()) : at::zeros_like(bad));
  scaler_.end_step(bad);
  if (!plan_.device.is_cpu()) return;  // nobody waits for a GPU here
  const auto place = fmt::format("epoch {}, step {}", epoch, state_.step + 1);
  const auto why = diverged_.empty() ? fmt::format("a loss or gradient of epoch {} was not finite", epoch) : diverged_;
  count_bad_steps(place, why);
  end_if_diverged(place, why);
}

at::Tensor Trainer::take_turn(std::size_t index, std::span<const Batch> micro_batches, const at::Tensor& bad) {
  auto& [network, optimizer] = turns_[index];
  optimizer->zero_grad();
  auto is_bad = ranks_.sum_gradients(index, differentiate(index, micro_batches, bad));
  if (scaler_.is_on()) is_bad = is_bad.logical_or(scaler_.unscale(optimizer->gradients()));
  const auto norm = optimizer->gradient_norm();
  is_bad = is_bad.logical_or(at::isfinite(norm).logical_not());
  means_.add("grad_norm/" + network.name, norm, 1.0 / static_cast<double>(state_.ranks));  // each rank adds its part
  optimizer->clip(norm);
  const auto& config = optimizer_config(plan_, network.name);
  const auto epoch = state_.epochs_done + 1;
  if (!ranks_.is_alone() && index + 1 < turns_.size()) backup_.keep(turns_[index]);
  optimizer->step(learning_rate(config, epoch, state_.step, steps_per_epoch(epoch)), is_bad);
  return is_bad;
}

// Gradients of this rank's items, weighed so that the sum over ranks is that of the mean over all items. Returns `bad`,
// or whether a loss was not finite. A task that gives up leaves the step to the other ranks, which need this one's
// part.
at::Tensor Trainer::differentiate(std::size_t index, std::span<const Batch> micro_batches, const at::Tensor& bad) {
  const auto& name = turns_[index].network.name;
  const auto n_items = static_cast<double>(items_of(micro_batches));
  auto is_bad = bad;
  for (std::size_t i = 0; i < micro_batches.size(); ++i) {
    if (i + 1 == micro_batches.size()) ranks_.expect_gradients(index);
    if (micro_batches[i].n_items == 0 || !diverged_.empty()) continue;
    const double share = static_cast<double>(micro_batches[i].n_items) / n_items;
    try {
      const auto losses = [&] {
        const PrecisionScope scope(plan_.trainer.precision, plan_.device);
        return task_.losses(index, micro_batches[i], context(i));
      }();
      (scaler_.scaled(losses.total) * share).backward();
      is_bad = is_bad.to(losses.total.device()).logical_or(at::isfinite(losses.total.detach()).logical_not());
      for (const auto& [term, value] : losses.terms) means_.add("loss/" + term, value, share);
      means_.add("loss/" + name, losses.total, share);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::diverged) throw;
      diverged_ = error.message();
      is_bad = at::ones_like(is_bad);
    }
  }
  return is_bad;
}

void Trainer::count_bad_steps(const std::string& place, const std::string& why) {
  const auto [diverged, overflowed] = bad_steps_.take();
  state_.overflowed_steps += overflowed;
  state_.skipped_steps += diverged;
  if (diverged == 0 || state_.skipped_steps > plan_.trainer.max_skipped_steps) return;
  warn(events_, fmt::format("{} skipped at {}: {} ({} of at most {})",
                            diverged == 1 ? "step" : fmt::format("{} steps", diverged), place, why,
                            state_.skipped_steps, plan_.trainer.max_skipped_steps));
}

void Trainer::end_if_diverged(const std::string& place, const std::string& why) const {
  if (state_.skipped_steps <= plan_.trainer.max_skipped_steps) return;
  const auto& saved = checkpoints();
  fail(ErrorKind::diverged,
       "{} steps had non-finite numbers, more than max_skipped_steps = {}; the last one at {}: {}. {}; lower the "
       "learning rate or set clip_norm",
       state_.skipped_steps, plan_.trainer.max_skipped_steps, place, why,
       saved.empty() ? "Nothing was saved yet"
                     : fmt::format("The last checkpoint is '{}'", saved.back().folder.string()));
}

// Of the steps since the last time, where nobody waited for them.
void Trainer::read_bad_steps() {
  count_bad_steps(fmt::format("or before epoch {}, step {}", state_.epoch(), state_.step),
                  "a loss or gradient was not finite");
}

StepContext Trainer::context(std::size_t micro_batch) const {
  return {plan_.trainer.seed, state_.epochs_done + 1, state_.step, static_cast<std::int64_t>(micro_batch)};
}

std::int64_t Trainer::steps_per_epoch(std::int64_t epoch) const {
  return (loader_.n_batches(epoch) + plan_.trainer.accumulation - 1) / plan_.trainer.accumulation;
}

Moment Trainer::moment(bool is_epoch_end, const Stopwatch& since) const {
  return {.epoch = state_.epochs_done,
          .step = state_.step,
          .is_epoch_end = is_epoch_end,
          .seconds_since_last = since.seconds()};
}

// Whatever is due after a step or an epoch, in this order: a line, a validation, a checkpoint, a stop.
void Trainer::after(bool is_epoch_end) {
  if (first_says(is_epoch_end || is_due(plan_.trainer.log_every, moment(false, since_log_)))) log_interval();
  const bool is_scheduled = first_says(is_due(plan_.trainer.validate_every, moment(is_epoch_end, since_validation_)));
  bool is_new_best = false;
  if (is_scheduled || is_last_validation_missing(is_epoch_end)) {
    validate(/*is_extra=*/!is_scheduled);
    is_new_best = store_ && store_->is_among_best(state_.evaluations.back().score);
  }
  if (is_new_best || is_due(plan_.checkpoints.every, moment(is_epoch_end, since_checkpoint_)) ||
      is_due(plan_.checkpoints.keep_every, moment(is_epoch_end, since_milestone_))) {
    save(is_epoch_end);
  }
  stop_if_asked();
}

// Whether the epochs end here with weights that nobody has scored.
bool Trainer::is_last_validation_missing(bool is_epoch_end) const {
  if (plan_.trainer.validate_every.is_off() || !is_epoch_end || state_.epochs_done < plan_.trainer.epochs) return false;
  return state_.evaluations.empty() || state_.evaluations.back().step != state_.step;
}

void Trainer::validate(bool is_extra) {
  const AveragedWeights in_place(average_.get());
  c10::NoGradGuard no_grad;
  const auto values = of_first(task_.validate(state_.epoch(), state_.step, events_));
  Evaluation evaluation{.epoch = state_.epoch(),
                        .step = state_.step,
                        .score = watched_score(values, plan_.overtraining.metric),
                        .is_extra = is_extra};
  if (monitor_.needs_training_score()) {
    evaluation.training_score =
        watched_score(of_first(task_.validate_on_training(state_.epoch(), state_.step)), plan_.overtraining.metric);
  }
  report_validation(values, evaluation);
  monitor_.observe(evaluation);
  state_.evaluations = monitor_.history();
  last_metrics_ = nlohmann::ordered_json(std::map<std::string, double>(values.begin(), values.end())).dump();
  since_validation_.restart();
}

void Trainer::save(bool is_epoch_end) {
  if (!store_) return;
  read_bad_steps();
  state_.loss_scale = scaler_.scale();
  state_.steps_at_scale = scaler_.good_steps();
  const bool is_milestone = is_due(plan_.checkpoints.keep_every, moment(is_epoch_end, since_milestone_));
  CheckpointStore::Place place{.epoch = state_.epoch(), .step = state_.step, .score = {}, .is_milestone = is_milestone};
  const bool is_scored = !state_.evaluations.empty() && state_.evaluations.back().step == state_.step;
  if (is_scored && std::isfinite(state_.evaluations.back().score)) place.score = state_.evaluations.back().score;
  with_context("writing a checkpoint", [&] {
    store_->write(place, [&](const std::filesystem::path& folder) {
      write_training_files(folder, parts(), state_, is_scored ? last_metrics_ : "");
    });
  });
  saved_step_ = state_.step;
  since_checkpoint_.restart();
  if (is_milestone) since_milestone_.restart();
}

void Trainer::stop_if_asked() {
  const auto signal = static_cast<int>(ranks_.largest(stop_requested()));
  if (signal == 0) return;
  if (saved_step_ != state_.step) save(false);
  events_.flush();
  const auto where =
      store_ ? fmt::format("everything is saved in '{}'", checkpoints().back().folder.string()) : "rank 0 saves";
  throw Error::interrupted(signal, fmt::format("stopped at epoch {}, step {}; {}", state_.epoch(), state_.step, where));
}

TrainingOutcome Trainer::finish(const Decision& decision) {
  if (saved_step_ != state_.step) save(false);
  TrainingOutcome outcome{
      .is_overtrained = decision.stops,
      .reason = decision.stops ? decision.reason : fmt::format("all {} epochs are trained", plan_.trainer.epochs),
      .epochs_done = state_.epochs_done,
      .epochs_trained_here = epochs_here_,
      .best = monitor_.best(),
      .best_checkpoint = {},
      .last_checkpoint = {}};
  if (!checkpoints().empty()) {
    outcome.best_checkpoint = store_->choose("best");
    outcome.last_checkpoint = checkpoints().back();
  }
  if (decision.stops) {
    events_.receive(DecisionEvent{.step = state_.step,
                                  .epoch = state_.epochs_done,
                                  .about = "overtraining",
                                  .decision = "stop",
                                  .reason = outcome.reason});
  }
  events_.flush();
  return outcome;
}

}  // namespace melisma
