// Every setting of RVC training: voice, features, batches, losses, optimizers, loop. Torch-free.
#pragma once
#include <array>
#include <string>
#include <string_view>
#include <tuple>

#include "infer/features/content.h"
#include "infer/features/pitch.h"
#include "models/rvc/config.h"
#include "train/engine/trainer_config.h"
#include "train/parallel/distributed_config.h"

namespace melisma {

// Names of kRvcConfigs, for the field's choices.
inline constexpr auto kRvcPresetNames = [] {
  std::array<std::string_view, kRvcConfigs.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kRvcConfigs[i].name;
  return names;
}();

inline constexpr std::array<std::string_view, 2> kRvcMelKinds{"single", "multiscale"};

struct RvcLossWeights {      // names are the names in the log
  double mel = 45.0;         // L1 of log-mel, mean over bands and frames
  double kl = 1.0;           // posterior against text prior, per frame
  double feature = 2.0;      // discriminator feature matching
  double adversarial = 1.0;  // least-squares GAN
  std::string mel_kind = "single";
  static constexpr auto fields() {
    using C = RvcLossWeights;
    return std::tuple{
        field("mel", &C::mel, "weight of the log-mel difference between made and recorded audio").at_least(0),
        field("kl", &C::kl, "weight of the posterior's divergence from the text prior").at_least(0),
        field("feature", &C::feature, "weight of the discriminator's feature matching").at_least(0),
        field("adversarial", &C::adversarial, "weight of fooling the discriminator").at_least(0),
        field("mel_kind", &C::mel_kind,
              "how mels are compared: at one resolution, or as a third of the sum over seven (log10); follows "
              "model.vocoder: multiscale with refinegan")
            .choices(kRvcMelKinds),
    };
  }
};

inline constexpr std::array<std::string_view, 3> kKeepChoices{"auto", "on", "off"};

struct RvcDataConfig {
  std::int64_t batch_size = 4;
  std::int64_t max_frames = 900;
  std::int64_t bucket_frames = 100;
  std::string keep = "auto";
  static constexpr auto fields() {
    using C = RvcDataConfig;
    return std::tuple{
        field("batch_size", &C::batch_size, "clips in a micro-batch, of all ranks together").range(1, 4096),
        field("max_frames", &C::max_frames, "longer clips are cut into equal pieces of at most this length")
            .unit("frames")
            .range(16, 100000),
        field("bucket_frames", &C::bucket_frames, "clips whose lengths differ by less than this share a batch")
            .unit("frames")
            .range(1, 100000),
        field("keep", &C::keep,
              "keep all training clips as tensors where the networks are, once they were read; auto: if they take less "
              "than a quarter of the memory that is free there")
            .choices(kKeepChoices)
            .cosmetic(),
    };
  }
};

struct RvcValidationConfig {
  std::int64_t clips = 32;
  std::int64_t samples = 2;
  std::uint64_t noise_seed = 0;
  static constexpr auto fields() {
    using C = RvcValidationConfig;
    return std::tuple{
        field("clips", &C::clips, "held-out clips that are scored, spread evenly over the split; 0 = all").at_least(0),
        field("samples", &C::samples, "of these, how many are kept as audio").at_least(0).cosmetic(),
        field("noise_seed", &C::noise_seed, "seed of the fixed noise of held-out resynthesis"),
    };
  }
};

struct RvcSettings {
  std::string preset = "v2-40k";
  std::string discriminator_from;
  RvcConfig model;
  RvcDiscriminatorConfig discriminator;
  ContentConfig content;
  PitchConfig pitch;
  RvcDataConfig data;
  RvcLossWeights losses;
  OptimizerConfig generator_optimizer, discriminator_optimizer;
  FreezeConfig freeze;
  TrainerConfig trainer;
  RvcValidationConfig validation;
  OvertrainingConfig overtraining;
  CheckpointConfig checkpoints;
  DistributedConfig distributed;
  static constexpr auto fields() {
    using C = RvcSettings;
    return std::tuple{
        field("preset", &C::preset, "RVC configuration that [model] starts from").choices(kRvcPresetNames),
        field("discriminator_from", &C::discriminator_from,
              "pretrained discriminator weights; empty = those that lie beside the weights of --from, if any"),
        field("model", &C::model, "sizes that differ from the preset"),
        field("discriminator", &C::discriminator, "the judges of adversarial training"),
        field("content", &C::content, "content features the voice is trained on; content_channels follows"),
        field("pitch", &C::pitch, "pitch features the voice is trained on"),
        field("data", &C::data, "batches"),
        field("losses", &C::losses, "weights of the loss terms"),
        field("generator_optimizer", &C::generator_optimizer, "AdamW of the synthesizer"),
        field("discriminator_optimizer", &C::discriminator_optimizer, "AdamW of the discriminator"),
        field("freeze", &C::freeze, "what keeps its weights"),
        field("trainer", &C::trainer, "the loop"),
        field("validation", &C::validation, "the held-out score"),
        field("overtraining", &C::overtraining, "when to stop"),
        field("checkpoints", &C::checkpoints, "what is kept"),
        field("distributed", &C::distributed, "how several processes train together"),
    };
  }
};

}  // namespace melisma
