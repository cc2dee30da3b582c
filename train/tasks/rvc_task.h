// RVC training as one Task: generator and discriminator, their losses, their held-out score.
#pragma once
#include <memory>
#include <vector>

#include "data/sets/dataset.h"
#include "data/signal/mel.h"
#include "models/rvc/discriminator.h"
#include "models/rvc/losses.h"
#include "models/rvc/synthesizer.h"
#include "models/rvc/voice_model.h"
#include "train/engine/task.h"
#include "train/tasks/rvc_settings.h"

namespace melisma {

[[nodiscard]] VocoderMelConfig vocoder_mel(const RvcConfig& config);

// Where a step's random numbers come from; tests put their own.
class NoiseSource {
 public:
  virtual ~NoiseSource() = default;
  [[nodiscard]] virtual TrainingNoise draw(const RvcConfig& config, std::int64_t batch, std::int64_t frames,
                                           const StepContext& context) const;
};

// Two networks a step: the discriminator first, on recorded and made audio in one pass, then the generator, judged by
// the discriminator as updated. The synthesizer runs once a step: its audio is kept from the first turn to the second,
// where the discriminator's weights and the recorded side get no gradient.
class RvcTask final : public Task {
 public:
  // Freezes what settings.freeze says; Error(config) if that names nothing. `held_out` and `training` are the clips
  // that are scored, all of `dataset` (null if there are none).
  RvcTask(const RvcSettings& settings, RvcVoiceConfig voice, std::shared_ptr<const Dataset> dataset,
          std::vector<Clip> held_out, std::vector<Clip> training,
          std::unique_ptr<NoiseSource> noise = std::make_unique<NoiseSource>());

  [[nodiscard]] std::vector<Network> networks() override;
  [[nodiscard]] std::string main_network() const override { return "generator"; }
  void share_with(Ranks& ranks) override { ranks_ = &ranks; }
  void begin_step(std::span<const Batch> micro_batches) override;
  // Terms "mel", "kl", "feature", "adversarial" in the generator's turn; the discriminator has its total only.
  [[nodiscard]] Losses losses(std::size_t network, const Batch& batch, const StepContext& context) override;
  // "mel_distance": mean |ln mel| difference of resynthesised whole clips, bands and frames and clips weighed alike.
  // Ranks score a share of the clips each; the sum is made in the clips' order, so it does not depend on how many.
  [[nodiscard]] NamedValues validate(std::int64_t epoch, std::int64_t step, EventSink& events) override;
  [[nodiscard]] NamedValues validate_on_training(std::int64_t epoch, std::int64_t step) override;
  [[nodiscard]] ModelFile model_file() override;

  [[nodiscard]] Synthesizer& generator() { return generator_; }
  [[nodiscard]] Discriminator& discriminator() { return discriminator_; }

 private:
  // What the discriminator's turn leaves for the generator's, one a micro-batch.
  struct Made {
    TrainingOutput out;
    at::Tensor wave;      // [B, 1, segment] recorded audio of the same place
    double kl_share = 1;  // what the mean over these frames counts, where ranks share the batch
  };
  [[nodiscard]] Made make(const Batch& batch, const StepContext& context) const;
  [[nodiscard]] Losses discriminator_turn(const Made& made) const;
  [[nodiscard]] Losses generator_turn(const Made& made) const;
  [[nodiscard]] at::Tensor mel_term(const at::Tensor& made, const at::Tensor& recorded) const;  // [B, N] each
  [[nodiscard]] double mel_distance_of(const std::vector<Clip>& clips, std::int64_t step, EventSink* events) const;

  RvcSettings settings_;
  RvcVoiceConfig voice_;
  std::shared_ptr<const Dataset> dataset_;
  std::vector<Clip> held_out_, training_;
  std::unique_ptr<NoiseSource> noise_;
  Ranks* ranks_ = &one_rank();
  Synthesizer generator_;
  Discriminator discriminator_;
  std::vector<Made> made_;
};

// Up to `count` of `clips`, spread evenly; 0 = all.
[[nodiscard]] std::vector<Clip> spread(const std::vector<Clip>& clips, std::int64_t count);

}  // namespace melisma
