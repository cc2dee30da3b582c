// Training of a mixing model as one Task: excerpts mixed, judged by the table of losses, scored on held-out songs.
#pragma once
#include <memory>
#include <vector>

#include "data/sets/dataset.h"
#include "models/mix/mix_model.h"
#include "train/engine/task.h"
#include "train/tasks/mix_loader.h"
#include "train/tasks/mix_settings.h"

namespace melisma {

class MixTask final : public Task {
 public:
  // The songs that are scored all have a mix; they may be none.
  MixTask(const MixSettings& settings, std::shared_ptr<const Dataset> dataset, std::vector<Song> held_out,
          std::vector<Song> training);

  [[nodiscard]] std::vector<Network> networks() override { return {{"mixer", model_.get()}}; }
  [[nodiscard]] std::string main_network() const override { return "mixer"; }
  void share_with(Ranks& ranks) override { ranks_ = &ranks; }
  void begin_step(std::span<const Batch>) override {}
  // Terms by the names of kMixLosses. Each excerpt is judged by itself, so that ranks that share a batch do what one
  // does.
  [[nodiscard]] Losses losses(std::size_t network, const Batch& batch, const StepContext& context) override;
  // "mix_loss", the weighted terms, mean over excerpts; each term by its name; and "equal_gain_loss", the same of
  // tracks merely added up at the level that suits the target best: what a model must beat. Without a reference song.
  [[nodiscard]] NamedValues validate(std::int64_t epoch, std::int64_t step, EventSink& events) override;
  [[nodiscard]] NamedValues validate_on_training(std::int64_t epoch, std::int64_t step) override;
  [[nodiscard]] ModelFile model_file() override { return mix_model_file(*model_, settings_.model); }

  [[nodiscard]] MixModel& model() { return *model_; }

 private:
  [[nodiscard]] NamedValues score(const std::vector<Song>& songs, std::int64_t step, EventSink* events) const;
  MixSettings settings_;
  std::shared_ptr<const Dataset> dataset_;
  std::vector<Song> held_out_, training_;
  Ranks* ranks_ = &one_rank();
  std::unique_ptr<MixModel> model_;
};

// Tracks [T, N] of one excerpt added up alike on both sides, as loud as `target` [2, N] is: [2, N].
[[nodiscard]] at::Tensor equal_gain_mix(const at::Tensor& tracks, const at::Tensor& target);

}  // namespace melisma
