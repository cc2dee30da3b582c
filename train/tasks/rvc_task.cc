#include "train/tasks/rvc_task.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <numeric>

#include "data/signal/mel_loss.h"
#include "eval/metrics/spectral.h"
#include "infer/convert/voice.h"
#include "models/layers/device.h"
#include "models/layers/recompute.h"
#include "models/layers/wide.h"
#include "tools/base/error.h"
#include "tools/base/seed.h"
#include "train/engine/freeze.h"

namespace melisma {
namespace {

constexpr std::size_t kDiscriminatorTurn = 0;

void initialise_from(Module& module, std::uint64_t seed, const char* stream) {
  auto generator = at::detail::createCPUGenerator(seed_of(seed, stream));
  module.initialise(generator);
}

// The noise of this rank's rows: drawn for the whole batch, so that how many ranks share it makes no difference.
TrainingNoise rows_of(TrainingNoise noise, const Batch& batch) {
  const auto first = batch.first_item, n = batch.n_items, n_all = batch.of_all();
  if (n == n_all) return noise;
  for (auto* part : {&noise.posterior, &noise.slice, &noise.source, &noise.phases}) {
    if (part->defined()) *part = part->narrow(0, first, n);
  }
  if (!noise.layers) return noise;
  noise.layers = [draw = noise.layers, first, n, n_all](std::int64_t layer, at::IntArrayRef shape) {
    auto whole = shape.vec();
    whole.at(0) = n_all;
    return draw(layer, whole).narrow(0, first, n);
  };
  return noise;
}

// As the batch's networks use it. Where segments start stays with the CPU, which cuts them out.
TrainingNoise on_device_of(const at::Tensor& batch, TrainingNoise noise) {
  const auto device = batch.device();
  for (auto* part : {&noise.posterior, &noise.source, &noise.phases}) *part = on_device(*part, device);
  if (device.is_cpu() || !noise.layers) return noise;
  noise.layers = [draw = noise.layers, device](std::int64_t layer, at::IntArrayRef shape) {
    return on_device(draw(layer, shape), device);
  };
  return noise;
}

// The divergence is a mean over frames, of which each rank's rows have another number: rows weigh it by items.
double kl_share_of(const Batch& batch) {
  if (batch.n_items == batch.of_all()) return 1;
  const auto mean_of = [](const at::Tensor& lengths) { return lengths.to(at::kDouble).mean().item<double>(); };
  return mean_of(batch.at("lengths")) / mean_of(batch.at("all_lengths"));
}

at::Tensor as_row(const std::vector<float>& samples) {
  return at::from_blob(const_cast<float*>(samples.data()), {1, static_cast<std::int64_t>(samples.size())});
}

}  // namespace

VocoderMelConfig vocoder_mel(const RvcConfig& config) {
  return {.sample_rate_hz = config.sample_rate_hz,
          .n_fft = config.n_fft,
          .hop = config.hop,
          .window = config.window,
          .n_mels = config.n_mels,
          .fmin = config.mel_fmin,
          .fmax = config.mel_fmax};
}

std::vector<Clip> spread(const std::vector<Clip>& clips, std::int64_t count) {
  const auto n = static_cast<std::int64_t>(clips.size());
  if (count == 0 || count >= n) return clips;
  std::vector<Clip> chosen;
  for (std::int64_t i = 0; i < count; ++i) chosen.push_back(clips[static_cast<std::size_t>(n * i / count)]);
  return chosen;
}

TrainingNoise NoiseSource::draw(const RvcConfig& config, std::int64_t batch, std::int64_t frames,
                                const StepContext& context) const {
  auto generator = context.generator("synthesizer");
  return draw_training_noise(config, batch, frames, generator);
}

RvcTask::RvcTask(const RvcSettings& settings, RvcVoiceConfig voice, std::shared_ptr<const Dataset> dataset,
                 std::vector<Clip> held_out, std::vector<Clip> training, std::unique_ptr<NoiseSource> noise)
    : settings_(settings),
      voice_(std::move(voice)),
      dataset_(std::move(dataset)),
      held_out_(std::move(held_out)),
      training_(std::move(training)),
      noise_(std::move(noise)),
      generator_(settings.model),
      discriminator_(settings.discriminator) {
  initialise_from(generator_, settings.trainer.seed, "weights/generator");
  initialise_from(discriminator_, settings.trainer.seed, "weights/discriminator");
  generator_.freeze(parameters_meant(generator_, settings.freeze.generator, "freeze.generator"));
  discriminator_.freeze(parameters_meant(discriminator_, settings.freeze.discriminator, "freeze.discriminator"));
}

std::vector<Network> RvcTask::networks() { return {{"discriminator", &discriminator_}, {"generator", &generator_}}; }

void RvcTask::begin_step(std::span<const Batch> micro_batches) {
  made_.clear();
  made_.resize(micro_batches.size());
}

Losses RvcTask::losses(std::size_t network, const Batch& batch, const StepContext& context) {
  auto& made = made_.at(static_cast<std::size_t>(context.micro_batch()));
  if (network == kDiscriminatorTurn) {
    made = make(batch, context);
    discriminator_.fold(false);
    discriminator_.set_requires_grad(true);
    return discriminator_turn(made);
  }
  discriminator_.set_requires_grad(false);
  if (context.micro_batch() == 0) discriminator_.fold(true);  // its weights stay as they are for the whole turn
  auto losses = generator_turn(made);
  made = {};
  return losses;
}

RvcTask::Made RvcTask::make(const Batch& batch, const StepContext& context) const {
  const auto& spectrum = batch.at("spectrum");
  auto drawn = noise_->draw(settings_.model, batch.of_all(), spectrum.size(2), context);
  const auto noise = on_device_of(spectrum, rows_of(std::move(drawn), batch));
  const RvcInput input{batch.at("content"), batch.at("lengths"), batch.at("coarse_pitch"), batch.at("f0"),
                       batch.at("speaker")};
  const RecomputeScope recompute(settings_.trainer.checkpoint_activations);
  Made made{generator_.forward(input, spectrum, noise), {}, kl_share_of(batch)};
  made.wave =
      slice_rows(batch.at("wave"), made.out.slice_starts * settings_.model.hop, settings_.model.segment_samples());
  return made;
}

Losses RvcTask::discriminator_turn(const Made& made) const {
  const auto n = made.wave.size(0);
  const auto opinions = discriminator_(at::cat({made.wave, made.out.wave.detach()}));
  const WideArithmetic whole;
  return {discriminator_loss(judgements_of(opinions, 0, n), judgements_of(opinions, n, n)), {}};
}

at::Tensor RvcTask::mel_term(const at::Tensor& made, const at::Tensor& recorded) const {
  const auto& model = settings_.model;
  if (settings_.losses.mel_kind == "single") return mel_loss(made, recorded, vocoder_mel(model));
  return multiscale_mel_loss(made, recorded, model.sample_rate_hz) / 3;
}

Losses RvcTask::generator_turn(const Made& made) const {
  Judgements real;
  {
    const c10::NoGradGuard no_grad;
    real = discriminator_(made.wave);
  }
  const auto& out = made.out;
  const auto opinions = discriminator_(out.wave);
  const WideArithmetic whole;  // losses and their gradients are not rounded
  const auto mel = mel_term(out.wave.squeeze(1), made.wave.squeeze(1));
  const auto kl =
      kl_loss(out.z_prior, out.posterior.log_std, out.prior.mean, out.prior.log_std, out.mask) * made.kl_share;
  const auto feature = feature_loss(real, opinions);
  const auto adversarial = adversarial_loss(opinions);
  const auto& weights = settings_.losses;
  return {mel * weights.mel + kl * weights.kl + feature * weights.feature + adversarial * weights.adversarial,
          {{"mel", mel.detach()},
           {"kl", kl.detach()},
           {"feature", feature.detach()},
           {"adversarial", adversarial.detach()}}};
}

double RvcTask::mel_distance_of(const std::vector<Clip>& clips, std::int64_t step, EventSink* events) const {
  const c10::NoGradGuard no_grad;
  ModelFile file;
  file.family = "rvc";
  file.config = to_canonical_json(voice_);
  file.weights = generator_.state_dict();
  file.sample_rate_hz = settings_.model.sample_rate_hz;
  const auto voice = Voice::load(file, file.weights.begin()->second.device());
  const auto [rank, size] = ranks_->shard();
  std::vector<double> distances(clips.size(), 0.0);
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const bool is_kept = events != nullptr && static_cast<std::int64_t>(i) < settings_.validation.samples;
    const auto owner = is_kept ? 0 : static_cast<std::int64_t>(i) % size;  // rank 0 keeps the audio
    if (owner != rank) continue;
    const auto recorded = dataset_->wave(clips[i]);
    const auto made = voice.resynthesize(*dataset_, clips[i], {.noise_seed = settings_.validation.noise_seed});
    distances[i] =
        log_mel_distance(as_row(made)[0], as_row(recorded)[0], settings_.model.sample_rate_hz);  // as in kMetrics
    if (!is_kept) continue;
    const auto tag = fmt::format("validation/{}", i);
    events->receive(AudioEvent{tag + "/made", step, settings_.model.sample_rate_hz, made});
    events->receive(AudioEvent{tag + "/recorded", step, settings_.model.sample_rate_hz, recorded});
  }
  distances = ranks_->sum(std::move(distances));
  return std::accumulate(distances.begin(), distances.end(), 0.0) / static_cast<double>(clips.size());
}

NamedValues RvcTask::validate(std::int64_t, std::int64_t step, EventSink& events) {
  return {{"mel_distance", mel_distance_of(held_out_, step, &events)}};
}

NamedValues RvcTask::validate_on_training(std::int64_t, std::int64_t step) {
  return {{"mel_distance", mel_distance_of(training_, step, nullptr)}};
}

ModelFile RvcTask::model_file() {
  ModelFile file;
  file.family = "rvc";
  file.config = to_canonical_json(voice_);
  file.sample_rate_hz = settings_.model.sample_rate_hz;
  file.weights = generator_.state_dict();
  return file;
}

}  // namespace melisma
