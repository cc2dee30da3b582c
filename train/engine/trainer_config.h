// Settings of the training loop: what every recipe shares. Torch-free.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "tools/base/device_name.h"
#include "tools/config/fields.h"

namespace melisma {

inline constexpr std::array<std::string_view, 4> kPrecisions{"fp32", "tf32", "bf16", "fp16"};
inline constexpr std::array<std::string_view, 4> kOvertrainingRules{"patience", "trend", "gap", "off"};

// When to stop because held-out quality no longer improves. Asked before each epoch.
struct OvertrainingConfig {
  std::string rule = "patience";
  std::string metric = "mel_distance";
  std::int64_t patience = 10;
  double min_delta = 0.0;
  std::int64_t window = 10;
  double alpha = 0.05;
  static constexpr auto fields() {
    using C = OvertrainingConfig;
    return std::tuple{
        field("rule", &C::rule, "how overtraining is recognised").choices(kOvertrainingRules),
        field("metric", &C::metric, "held-out metric that is watched; lower is better"),
        field("patience", &C::patience, "evaluations without improvement before training ends").at_least(1),
        field("min_delta", &C::min_delta, "smallest fall of the metric that counts as improvement").at_least(0),
        field("window", &C::window, "evaluations the trend and gap rules look at").at_least(4),
        field("alpha", &C::alpha, "level of the trend rule's Mann-Kendall test").range(0, 1),
    };
  }
};

struct OptimizerConfig {
  double lr = 1e-4;
  double beta1 = 0.8, beta2 = 0.99;
  double eps = 1e-9;
  double weight_decay = 0.01;
  double lr_decay = 0.999875;
  Duration warmup{};
  double clip_norm = 0.0;
  static constexpr auto fields() {
    using C = OptimizerConfig;
    return std::tuple{
        field("lr", &C::lr, "AdamW step size before decay").range(0, 1),
        field("beta1", &C::beta1, "AdamW decay of the first moment").range(0, 0.9999999),
        field("beta2", &C::beta2, "AdamW decay of the second moment").range(0, 0.9999999),
        field("eps", &C::eps, "AdamW denominator offset").range(0, 1),
        field("weight_decay", &C::weight_decay, "AdamW decoupled weight decay").range(0, 1),
        field("lr_decay", &C::lr_decay, "factor on lr after each epoch").range(0, 1),
        field("warmup", &C::warmup, "lr rises linearly from 0 over this long"),
        field("clip_norm", &C::clip_norm, "gradient norm above which gradients are scaled down; 0 = off").at_least(0),
    };
  }
};

// What keeps its weights while the rest is trained.
struct FreezeConfig {
  std::vector<std::string> generator, discriminator;
  static constexpr auto fields() {
    using C = FreezeConfig;
    return std::tuple{
        field("generator", &C::generator,
              "parts of the generator that keep their weights: names or beginnings of them, such as \"enc_p\" or "
              "\"dec.ups.0\"; * stands for anything between two dots"),
        field("discriminator", &C::discriminator, "the same of the discriminator"),
    };
  }
};

struct CheckpointConfig {
  Duration every = epochs(1);
  std::int64_t keep_best = 1;
  std::int64_t keep_last = 1;
  Duration keep_every{};
  static constexpr auto fields() {
    using C = CheckpointConfig;
    return std::tuple{
        field("every", &C::every, "how often a checkpoint is written; the end of a run always writes one").cosmetic(),
        field("keep_best", &C::keep_best, "checkpoints kept by held-out score").at_least(0).cosmetic(),
        field("keep_last", &C::keep_last, "latest checkpoints kept").at_least(1).cosmetic(),
        field("keep_every", &C::keep_every, "also keep one checkpoint each time this much has passed").cosmetic(),
    };
  }
};

struct TrainerConfig {
  std::uint64_t seed = 1234;
  std::int64_t epochs = 100;
  std::int64_t accumulation = 1;
  std::string device = "auto";
  std::string precision = "fp32";
  bool checkpoint_activations = false;
  double ema_decay = 0.0;
  Duration validate_every{1, Duration::Unit::epochs};
  Duration log_every{50, Duration::Unit::steps};
  std::int64_t max_skipped_steps = 10;
  static constexpr auto fields() {
    using C = TrainerConfig;
    return std::tuple{
        field("seed", &C::seed, "seed of every random stream of the run"),
        field("epochs", &C::epochs, "epochs to train at most").at_least(1),
        field("accumulation", &C::accumulation, "micro-batches whose gradients make one step").at_least(1),
        field("device", &C::device,
              "where the networks are trained: cpu, cuda (with several processes a GPU each), a certain GPU such as "
              "cuda:1, or auto (a GPU if there is one)")
            .checked_by(&device_problem)
            .cosmetic(),
        field("precision", &C::precision,
              "arithmetic of the networks while they train, parameters and optimizer state stay fp32; bf16 on what "
              "multiplies it, tf32 and fp16 (with loss scaling) on GPUs")
            .choices(kPrecisions),
        field("checkpoint_activations", &C::checkpoint_activations,
              "keep only the inputs of the decoder's residual blocks and compute the rest again in the backward pass: "
              "less memory for more time"),
        field("ema_decay", &C::ema_decay, "decay per step of the averaged weights; 0 = no averaging")
            .range(0, 0.9999999),
        field("validate_every", &C::validate_every,
              "how often held-out clips are scored; once more when the epochs end"),
        field("log_every", &C::log_every, "how often a line of losses is printed").cosmetic(),
        field("max_skipped_steps", &C::max_skipped_steps,
              "steps with non-finite numbers that are skipped before the run ends as diverged")
            .at_least(0),
    };
  }
};

}  // namespace melisma
