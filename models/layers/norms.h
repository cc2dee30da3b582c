// Normalisation by batch, group and layer, and what behaves differently while a network trains.
#pragma once
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

#include "models/layers/module.h"

namespace melisma {

// While it lives, on this thread: batch norms normalise by the batch they see and follow it with their running
// statistics, and dropout draws from `generator`. Without one they are as in inference.
class TrainingScope {
 public:
  explicit TrainingScope(at::Generator generator);
  ~TrainingScope();
  TrainingScope(const TrainingScope&) = delete;
  TrainingScope& operator=(const TrainingScope&) = delete;

 private:
  at::Generator* before_;
  at::Generator generator_;
};
[[nodiscard]] bool is_training();

// x with each element kept with probability 1 - p and scaled by 1 / (1 - p) while training; x itself otherwise.
[[nodiscard]] at::Tensor dropout(const at::Tensor& x, double p);

// Over every dimension of [B, C, ...] but the channels; eps 1e-5, momentum 0.1. Parameters weight, bias [C], buffers
// running_mean, running_var [C] and num_batches_tracked, an int64 scalar.
class BatchNorm : public Module {
 public:
  explicit BatchNorm(std::int64_t channels);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
  void initialise(at::Generator& generator) override;

 private:
  at::Tensor weight_, bias_, running_mean_, running_var_, n_batches_;
};

// Over groups of channels of [B, C, ...], each item by itself: what is beside it in a batch makes no difference.
class GroupNorm : public Module {
 public:
  // The largest number of groups up to 8 that divides the channels.
  explicit GroupNorm(std::int64_t channels);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
  void initialise(at::Generator& generator) override;

 private:
  std::int64_t groups_;
  at::Tensor weight_, bias_;
};

// Layer norm over the last dimension, of size `width`; eps 1e-5.
class TokenNorm : public Module {
 public:
  explicit TokenNorm(std::int64_t width);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
  void initialise(at::Generator& generator) override;

 private:
  at::Tensor weight_, bias_;
};

// max(x, 0) + weight min(x, 0) with a slope a channel (dimension 1) or one for all; 0.25 at first.
class PRelu : public Module {
 public:
  explicit PRelu(std::int64_t channels = 1);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
  void initialise(at::Generator& generator) override;

 private:
  at::Tensor weight_;
};

}  // namespace melisma
