// The smallest task with everything a recipe has: two networks, noise, a held-out score; and a language to train it in.
#pragma once
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/layers/module.h"
#include "tests/support/golden.h"
#include "train/engine/trainer.h"

namespace melisma::testing {

struct TinyNetwork final : Module {
  TinyNetwork(const std::string& name, std::int64_t in, std::int64_t out) {
    first = parameter("first.weight", numbers(name + ".first", {8, in}));
    bias = parameter("first.bias", numbers(name + ".bias", {8}));
    second = parameter("second.weight", numbers(name + ".second", {out, 8}));
    (void)buffer("scale", at::ones({1}));
  }
  static at::Tensor numbers(const std::string& name, std::vector<std::int64_t> shape) {
    const auto count = at::ones(shape).numel();
    return at::tensor(formula_numbers(name, count), at::kDouble).to(at::kFloat).reshape(shape) * 0.5;
  }
  // [B, in] -> [B, out]
  [[nodiscard]] at::Tensor forward(const at::Tensor& x) const {
    return at::linear(at::tanh(at::linear(x, first, bias)), second);
  }
  at::Tensor first, bias, second;
};

struct TinyOptions {
  bool use_noise = true;
  // What validate() answers in epoch e; empty = the generator's true held-out error.
  std::function<double(std::int64_t epoch)> score;
  // Steps whose generator loss is made infinite.
  std::function<bool(std::int64_t step)> explodes;
  std::function<void()> on_step;
};

class TinyGan final : public Task {
 public:
  explicit TinyGan(TinyOptions options = {}) : options_(std::move(options)) {}

  std::vector<Network> networks() override { return {{"discriminator", &discriminator}, {"generator", &generator}}; }
  std::string main_network() const override { return "generator"; }
  void begin_step(std::span<const Batch>) override {
    if (options_.on_step) options_.on_step();
  }

  Losses losses(std::size_t network, const Batch& batch, const StepContext& context) override {
    const auto real = batch.at("target");
    auto input = batch.at("input");
    if (options_.use_noise) {
      auto generator_of_noise = context.generator("noise");
      const auto noise = at::randn({batch.of_all(), input.size(1)}, generator_of_noise, at::TensorOptions());
      input = input + 0.01 * noise.narrow(0, batch.first_item, batch.n_items).to(input.device());
    }
    const auto made = generator.forward(input);
    if (network == 0) {
      const auto loss = at::mean(at::square(1 - discriminator.forward(real))) +
                        at::mean(at::square(discriminator.forward(made.detach())));
      return {.total = loss, .terms = {{"discriminator_error", loss.detach()}}};
    }
    const auto error = at::mean(at::square(made - real));
    const auto adversarial = at::mean(at::square(1 - discriminator.forward(made)));
    auto total = error + 0.01 * adversarial;
    if (options_.explodes && options_.explodes(context.step())) total = total * INFINITY;
    return {.total = total, .terms = {{"error", error.detach()}, {"adversarial", adversarial.detach()}}};
  }

  NamedValues validate(std::int64_t epoch, std::int64_t, EventSink&) override {
    const auto input = TinyNetwork::numbers("held-out", {16, 4}).to(generator.first.device());
    const auto error = at::mean(at::square(generator.forward(input) - truth(input))).item<double>();
    return {{"mel_distance", options_.score ? options_.score(epoch) : error}, {"error", error}};
  }
  NamedValues validate_on_training(std::int64_t epoch, std::int64_t) override {
    return {{"mel_distance", 1.0 / static_cast<double>(epoch)}};
  }
  ModelFile model_file() override {
    ModelFile file;
    file.weights = generator.state_dict();
    file.family = "tiny";
    file.config = "{}";
    return file;
  }
  // What the generator is to learn. [B, 4] -> [B, 2]
  static at::Tensor truth(const at::Tensor& x) {
    return at::stack({x.select(1, 0) * x.select(1, 1), x.select(1, 2)}, 1);
  }

  TinyNetwork generator{"generator", 4, 2};
  TinyNetwork discriminator{"discriminator", 2, 1};

 private:
  TinyOptions options_;
};

class TinyLoader final : public Loader {
 public:
  TinyLoader(std::int64_t n_batches, std::int64_t batch_size, bool same_each_epoch = false, const Shard& shard = {})
      : n_batches_(n_batches), batch_size_(batch_size), same_each_epoch_(same_each_epoch), shard_(shard) {}
  // The part of the same batches that is a rank's.
  [[nodiscard]] TinyLoader shared(const Shard& shard) const {
    return TinyLoader(n_batches_, batch_size_, same_each_epoch_, shard);
  }
  std::int64_t n_batches(std::int64_t) const override { return n_batches_; }
  Batch batch(std::int64_t epoch, std::int64_t index) const override {
    const auto all =
        TinyNetwork::numbers("epoch" + std::to_string(same_each_epoch_ ? 0 : epoch), {n_batches_ * batch_size_, 4});
    Batch batch;
    batch.n_items = shard_.count_of(batch_size_);
    batch.n_items_all = batch_size_;
    batch.first_item = shard_.first_of(batch_size_);
    const auto input = all.narrow(0, index * batch_size_ + batch.first_item, batch.n_items);
    batch.add("input", input);
    batch.add("target", TinyGan::truth(input));
    return batch;
  }

 private:
  std::int64_t n_batches_, batch_size_;
  bool same_each_epoch_;
  Shard shard_;
};

// Keeps what the trainer said.
class RecordingSink final : public EventSink {
 public:
  void receive(const Event& event) override { events.push_back(event); }
  template <class T>
  [[nodiscard]] std::vector<T> all() const {
    std::vector<T> found;
    for (const auto& event : events) {
      if (const auto* one = std::get_if<T>(&event)) found.push_back(*one);
    }
    return found;
  }
  // The values called `name` in the order in which they were sent.
  [[nodiscard]] std::vector<double> values(const std::string& name) const {
    std::vector<double> found;
    for (const auto& scalars : all<ScalarsEvent>()) {
      for (const auto& [key, value] : scalars.values) {
        if (key == name) found.push_back(value);
      }
    }
    return found;
  }
  [[nodiscard]] bool said(const std::string& part) const {
    for (const auto& message : all<MessageEvent>()) {
      if (message.text.find(part) != std::string::npos) return true;
    }
    return false;
  }
  std::vector<Event> events;
};

// A run of the tiny task in a folder: make one, change plan or options, then run().
struct TinyRun {
  explicit TinyRun(std::filesystem::path where) {
    plan.checkpoint_folder = std::move(where);
    plan.run = "tiny";
    plan.trainer.epochs = 3;
    plan.trainer.log_every = steps(1);
    plan.overtraining.rule = "off";
    OptimizerConfig optimizer;
    optimizer.lr = 0.01;
    plan.optimizers = {{"discriminator", optimizer}, {"generator", optimizer}};
  }
  // A fresh trainer in the same folder, as a new process would make one.
  Trainer& open(Ranks& ranks = one_rank()) {
    trainer.reset();
    task = std::make_unique<TinyGan>(options);
    loader = loader.shared(ranks.shard());
    trainer = std::make_unique<Trainer>(*task, loader, plan, sink, ranks);
    return *trainer;
  }
  TrainingOutcome run() { return open().run(); }
  TrainingOutcome resume(std::string_view which = "last") {
    open().resume(which);
    return trainer->run();
  }

  TrainingPlan plan;
  TinyOptions options;
  TinyLoader loader{4, 8};
  RecordingSink sink;
  std::unique_ptr<TinyGan> task;
  std::unique_ptr<Trainer> trainer;
};

// Every tensor of two dicts equal bit for bit.
inline ::testing::AssertionResult same_bits(const StateDict& left, const StateDict& right) {
  if (left.size() != right.size()) return ::testing::AssertionFailure() << "different numbers of tensors";
  for (const auto& [name, tensor] : left) {
    if (!at::equal(tensor, right.at(name))) return ::testing::AssertionFailure() << "'" << name << "' differs";
  }
  return ::testing::AssertionSuccess();
}

}  // namespace melisma::testing
