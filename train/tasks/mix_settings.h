// Every setting of training a mixing model: sizes, excerpts, losses, optimizer, loop. Torch-free.
#pragma once
#include <cstdint>
#include <tuple>

#include "models/mix/mix_config.h"
#include "models/mix/mix_loss_config.h"
#include "train/engine/trainer_config.h"
#include "train/parallel/distributed_config.h"

namespace melisma {

struct MixDataConfig {
  std::int64_t batch_size = 4;
  std::int64_t excerpt_samples = 128000;
  std::int64_t excerpts_per_epoch = 256;
  std::int64_t max_tracks = 16;
  double random_gain_db = 6;
  double reference_share = .5;
  static constexpr auto fields() {
    using C = MixDataConfig;
    return std::tuple{
        field("batch_size", &C::batch_size, "excerpts in a micro-batch, of all ranks together").range(1, 4096),
        field("excerpt_samples", &C::excerpt_samples,
              "length of an excerpt; 3072 less than a power of two costs a console the least")
            .unit("samples")
            .range(1024, 4194304),
        field("excerpts_per_epoch", &C::excerpts_per_epoch, "excerpts that make an epoch").at_least(1),
        field("max_tracks", &C::max_tracks,
              "tracks a model gets at most, each channel of a stereo track being one; what is left is added up in the "
              "last")
            .range(1, 256),
        field("random_gain_db", &C::random_gain_db,
              "tracks come louder or softer by up to this, so that levels are learned")
            .unit("dB")
            .range(0, 48),
        field("reference_share", &C::reference_share,
              "share of the batches for which another part of the finished mix is given as a reference")
            .range(0, 1),
    };
  }
};

struct MixValidationConfig {
  std::int64_t excerpts = 2;
  std::int64_t samples = 1;
  static constexpr auto fields() {
    using C = MixValidationConfig;
    return std::tuple{
        field("excerpts", &C::excerpts, "excerpts of each held-out song that are scored, evenly spread").range(1, 1000),
        field("samples", &C::samples, "of these, how many are kept as audio").at_least(0).cosmetic(),
    };
  }
};

struct MixSettings {
  MixModelConfig model;
  MixDataConfig data;
  MixLossWeights losses;
  OptimizerConfig optimizer{
      .lr = 3e-4, .beta1 = .9, .beta2 = .999, .eps = 1e-8, .weight_decay = .01, .lr_decay = .99, .clip_norm = 10};
  TrainerConfig trainer;
  MixValidationConfig validation;
  OvertrainingConfig overtraining{.metric = "mix_loss"};
  CheckpointConfig checkpoints;
  DistributedConfig distributed;
  static constexpr auto fields() {
    using C = MixSettings;
    return std::tuple{
        field("model", &C::model, "the model and its sizes"),
        field("data", &C::data, "excerpts and batches"),
        field("losses", &C::losses, "weights of the loss terms; validation weighs them alike"),
        field("optimizer", &C::optimizer, "AdamW of the model"),
        field("trainer", &C::trainer, "the loop; precision fp32 or tf32"),
        field("validation", &C::validation, "the held-out score"),
        field("overtraining", &C::overtraining, "when to stop"),
        field("checkpoints", &C::checkpoints, "what is kept"),
        field("distributed", &C::distributed, "how several processes train together"),
    };
  }
};

}  // namespace melisma
