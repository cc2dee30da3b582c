// The training loop of every recipe: check, epoch, validate, checkpoint.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/base/event.h"
#include "train/engine/bad_steps.h"
#include "train/engine/batch_feed.h"
#include "train/engine/checkpoint.h"
#include "train/engine/checkpoint_index.h"
#include "train/engine/loss_scaler.h"
#include "train/engine/overtraining_monitor.h"
#include "train/engine/ranks.h"
#include "train/engine/schedule.h"
#include "train/engine/step_backup.h"
#include "train/engine/task.h"
#include "train/engine/train_state.h"
#include "train/engine/trainer_config.h"
#include "train/engine/training_log.h"

namespace melisma {

// Everything the loop needs beside the task and its batches.
struct TrainingPlan {
  TrainerConfig trainer;
  at::Device device = at::kCPU;                                     // what trainer.device means on this machine
  std::vector<std::pair<std::string, OptimizerConfig>> optimizers;  // one a network, by its name
  OvertrainingConfig overtraining;
  CheckpointConfig checkpoints;
  std::filesystem::path checkpoint_folder;
  std::string run;  // who owns the checkpoints: other runs' are never touched
};

// How a run ended.
struct TrainingOutcome {
  bool is_overtrained = false;
  std::string reason;                    // "no improvement since epoch 2", "all 100 epochs are trained"
  std::int64_t epochs_done = 0;          // in the whole run
  std::int64_t epochs_trained_here = 0;  // in this process
  std::optional<Evaluation> best;
  std::optional<CheckpointEntry> best_checkpoint, last_checkpoint;
};

// Trainer(task, loader, plan, events).run(), or resume("last") in between. Deterministic: on one machine with one
// thread count, a resumed run makes the same numbers as an uninterrupted one, bit for bit; on a GPU up to the last bits
// of the few sums for which LibTorch has no fixed order there. Nothing waits for a GPU between two lines of the log, so
// skipped steps are counted there when a line is due. Several ranks make one run:
// each constructs its trainer, resumes and runs; rank 0 reads, decides and writes.
class Trainer {
 public:
  // Moves the task's networks to plan.device. Rank 0 locks the checkpoint folder. Task, loader, sink and ranks must
  // outlive the trainer.
  Trainer(Task& task, const Loader& loader, TrainingPlan plan, EventSink& events, Ranks& ranks = one_rank());

  // Continues from a checkpoint ("last", "best" or an epoch). Throws Error(checkpoint) if it is damaged.
  void resume(std::string_view which = "last");

  // Trains until the epochs are done or the overtraining monitor stops it. Throws Error(diverged) past the limit of
  // skipped steps, Error(interrupted) after saving when SIGINT or SIGTERM asked any rank for a stop, Error(device) when
  // a checkpoint cannot be written, Error(network) when a rank is lost: the first of those left saves the last whole
  // step.
  TrainingOutcome run();

  [[nodiscard]] const TrainState& state() const { return state_; }
  [[nodiscard]] std::optional<Evaluation> best() const { return monitor_.best(); }
  [[nodiscard]] const std::vector<CheckpointEntry>& checkpoints() const;  // none but on rank 0

 private:
  void train_epoch();
  void train_step(std::int64_t epoch, std::span<const Batch> micro_batches);
  at::Tensor take_turn(std::size_t index, std::span<const Batch> micro_batches, const at::Tensor& bad);
  [[nodiscard]] at::Tensor differentiate(std::size_t index, std::span<const Batch> micro_batches,
                                         const at::Tensor& bad);
  void count_bad_steps(const std::string& place, const std::string& why);
  void end_if_diverged(const std::string& place, const std::string& why) const;
  void read_bad_steps();
  [[nodiscard]] StepContext context(std::size_t micro_batch) const;
  [[nodiscard]] Moment moment(bool is_epoch_end, const Stopwatch& since) const;
  void after(bool is_epoch_end);
  [[nodiscard]] bool is_last_validation_missing(bool is_epoch_end) const;
  void validate(bool is_extra);
  void save(bool is_epoch_end);
  void stop_if_asked();
  void warn_if_different(std::string_view what, std::string_view option, std::int64_t then, std::int64_t now);
  void warn_if_moved(const std::string& then);
  // What ranks agree on; each of these is collective.
  void share_state();
  [[nodiscard]] Decision decide();
  [[nodiscard]] bool first_says(bool answer);
  [[nodiscard]] NamedValues of_first(NamedValues values);
  [[nodiscard]] std::string save_what_is_left();
  void log_interval();
  void report_validation(const NamedValues& values, const Evaluation& evaluation);
  void report_progress(std::int64_t n_batches);
  TrainingOutcome finish(const Decision& decision);
  [[nodiscard]] double seconds_left() const;
  [[nodiscard]] std::int64_t steps_per_epoch(std::int64_t epoch) const;
  [[nodiscard]] TrainingParts parts() { return {task_, turns_, average_.get()}; }

  Task& task_;
  const Loader& loader_;
  TrainingPlan plan_;
  EventSink& events_;
  Ranks& ranks_;
  std::unique_ptr<CheckpointStore> store_;  // null but on rank 0
  std::vector<Turn> turns_;
  LossScaler scaler_;
  BadSteps bad_steps_;
  BatchFeed feed_;
  std::unique_ptr<WeightAverage> average_;
  OvertrainingMonitor monitor_;
  TrainState state_;
  ScalarMeans means_;
  Stopwatch since_start_, since_log_, since_validation_, since_checkpoint_, since_milestone_;
  std::int64_t steps_here_ = 0, epochs_here_ = 0, items_since_log_ = 0, saved_step_ = -1;
  double seconds_since_log_ = 0;  // of training alone, without validations and checkpoints
  std::string last_metrics_;
  std::string diverged_;  // why the task gave this step up; empty = it did not
  StepBackup backup_;
};

}  // namespace melisma
