// The seam between the engine and a recipe. The engine owns the loop, optimizers, checkpoints and decisions; a Task
// owns the networks, their losses and their held-out score. A Loader hands out batches as a function of (epoch, step).
#pragma once
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/layers/module.h"
#include "models/weights/model_file.h"
#include "tools/base/event.h"
#include "train/engine/ranks.h"
#include "train/engine/trainer_config.h"

namespace melisma {

// One micro-batch: tensors by name, and how many items it holds. Where ranks share it, this rank's items of it: their
// mean counts n_items / of_all() of the whole one's, and random numbers are those of the whole one from first_item on.
class Batch {
 public:
  void add(std::string name, at::Tensor tensor) { items_.push_back({std::move(name), std::move(tensor)}); }
  // A tensor that stays in the CPU's memory wherever the networks are: what the task reads numbers from.
  void add_for_cpu(std::string name, at::Tensor tensor) {
    items_.push_back({std::move(name), std::move(tensor), true});
  }
  // Throws Error(internal) if the loader did not supply `name`.
  [[nodiscard]] const at::Tensor& at(std::string_view name) const;
  struct Item {
    std::string name;
    at::Tensor tensor;
    bool stays = false;  // in the CPU's memory
  };
  [[nodiscard]] const std::vector<Item>& items() const { return items_; }
  // This batch there, as on_device() moves tensors.
  [[nodiscard]] Batch to(at::Device device) const;
  std::int64_t n_items = 0;      // here; may be 0 where ranks share the batch: no loss is asked of it then
  std::int64_t n_items_all = 0;  // of the whole micro-batch; 0 = it is not shared
  std::int64_t first_item = 0;   // of these items in the whole one
  [[nodiscard]] std::int64_t of_all() const { return n_items_all > 0 ? n_items_all : n_items; }

 private:
  std::vector<Item> items_;
};

// Batches of an epoch as a pure function: the same (epoch, step) always gives the same batch, so a resume needs no
// cursor.
class Loader {
 public:
  virtual ~Loader() = default;
  // Micro-batches in this epoch (epochs count from 1); at least 1.
  [[nodiscard]] virtual std::int64_t n_batches(std::int64_t epoch) const = 0;
  // `index` counts from 0. The engine may call this from another thread while it trains, one call at a time.
  // In the CPU's memory, or where the networks are already.
  [[nodiscard]] virtual Batch batch(std::int64_t epoch, std::int64_t index) const = 0;
};

// Where in training a piece of work happens, and the randomness that belongs to it. Epochs count from 1, steps from 0
// at the start of the run, micro-batches from 0 within a step.
class StepContext {
 public:
  StepContext(std::uint64_t run_seed, std::int64_t epoch, std::int64_t step, std::int64_t micro_batch,
              std::int64_t rank = 0)
      : run_seed_(run_seed), epoch_(epoch), step_(step), micro_batch_(micro_batch), rank_(rank) {}
  [[nodiscard]] std::int64_t epoch() const { return epoch_; }
  [[nodiscard]] std::int64_t step() const { return step_; }
  [[nodiscard]] std::int64_t micro_batch() const { return micro_batch_; }
  // A fresh CPU generator for stream `name` at this place; the same call twice gives the same numbers.
  [[nodiscard]] at::Generator generator(std::string_view name) const;

 private:
  std::uint64_t run_seed_;
  std::int64_t epoch_, step_, micro_batch_, rank_;
};

// Loss terms as the log names them ("mel", "kl"), unweighted 0-d tensors, and `total`, the weighted sum that is
// differentiated.
struct Losses {
  at::Tensor total;                                       // [] differentiable
  std::vector<std::pair<std::string, at::Tensor>> terms;  // [] each, detached
};

// A network with an optimizer of its own. A GAN task lists its discriminator before its generator.
struct Network {
  std::string name;  // "generator", "discriminator": names its files, its learning rate and its gradient norm
  Module* module;    // borrowed from the task
};

class Task {
 public:
  virtual ~Task() = default;

  // The networks in the order in which each step updates them; the first call fixes the list. The one named by
  // main_network() is what `model.safetensors` holds and what EMA follows.
  [[nodiscard]] virtual std::vector<Network> networks() = 0;
  [[nodiscard]] virtual std::string main_network() const = 0;

  // Called once, before anything else: who trains with this process. A task that shares out its validation keeps it and
  // gathers the scores; one that does not scores everything on every rank.
  virtual void share_with(Ranks&) {}

  // Called once before the turns of a step, with all its micro-batches (to drop what the last step cached).
  virtual void begin_step(std::span<const Batch> micro_batches) = 0;

  // The loss of `batch`, a mean over its items, for the turn of network `network` (index into networks()). The engine
  // has zeroed that network's gradients, will scale, differentiate, clip and step it, and then takes the next network's
  // turn. Throws Error(diverged) on a non-finite loss: the engine skips the step and counts it.
  [[nodiscard]] virtual Losses losses(std::size_t network, const Batch& batch, const StepContext& context) = 0;

  // Held-out metrics with the weights as they are now (the engine swaps EMA in and out), deterministic. May send audio
  // and images to `events`. Names as in kMetrics ("mel_distance").
  [[nodiscard]] virtual NamedValues validate(std::int64_t epoch, std::int64_t step, EventSink& events) = 0;
  // The same number on a fixed subset of the training clips, for the `gap` rule; called only when that rule is on.
  [[nodiscard]] virtual NamedValues validate_on_training(std::int64_t epoch, std::int64_t step) = 0;

  // The main network as a file: family, config, and its whole state dict with the weights as they are now (also what
  // only training needs: a checkpoint is resumed from it). The engine fills in epoch, step and metrics.
  [[nodiscard]] virtual ModelFile model_file() = 0;
};

}  // namespace melisma
