#include "tools/bench/rvc_step_forms.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "data/signal/mel_loss.h"
#include "models/layers/tensor_memory.h"

namespace melisma {

Batch random_step_batch(const RvcConfig& model, std::int64_t batch_size, std::int64_t frames) {
  auto generator = at::detail::createCPUGenerator(7);
  const at::TensorOptions floats;
  const auto wave = at::randn({batch_size, frames * model.hop}, generator, floats).mul_(0.1).clamp_(-1, 1);
  Batch batch;
  batch.n_items = batch_size;
  batch.add("content", at::randn({batch_size, frames, model.content_channels}, generator, floats));
  batch.add("lengths", at::full({batch_size}, frames, at::kLong));
  batch.add("coarse_pitch", at::full({batch_size, frames}, 100, at::kLong));
  batch.add("f0", at::full({batch_size, frames}, 220.0));
  batch.add("speaker", at::zeros({batch_size}, at::kLong));
  batch.add("wave", wave.unsqueeze(1));
  batch.add("spectrum", linear_spectrogram(wave, vocoder_mel(model)));
  return batch;
}

PlainAdamW::PlainAdamW(const Module& module) {
  for (const auto& [name, tensor] : module.parameters()) {
    slots_.push_back({tensor, at::zeros_like(tensor.detach()), at::zeros_like(tensor.detach())});
  }
}

void PlainAdamW::zero_grad() {
  for (auto& slot : slots_) slot.parameter.mutable_grad() = at::Tensor();
}

at::Tensor PlainAdamW::gradient_norm() const {
  std::vector<at::Tensor> norms;
  for (const auto& slot : slots_) norms.push_back(slot.parameter.grad().norm());
  return at::stack(norms).norm();
}

void PlainAdamW::step(const OptimizerConfig& config) {
  const c10::NoGradGuard no_grad;
  steps_ += 1;
  const double correction1 = 1 - std::pow(config.beta1, steps_), correction2 = 1 - std::pow(config.beta2, steps_);
  for (auto& [parameter, mean, square] : slots_) {
    const auto& gradient = parameter.grad();
    parameter.mul_(1 - config.lr * config.weight_decay);
    mean.lerp_(gradient, 1 - config.beta1);
    square.mul_(config.beta2).addcmul_(gradient, gradient, 1 - config.beta2);
    parameter.addcdiv_(mean, square.sqrt().div_(std::sqrt(correction2)).add_(config.eps), -config.lr / correction1);
  }
}

FormedStep::FormedStep(RvcTask& task, const RvcSettings& settings, const StepForm& form)
    : task_(task),
      settings_(settings),
      form_(form),
      by_matrices_(settings.discriminator, PeriodLayout::matrices),
      by_planes_(settings.discriminator, PeriodLayout::planes),
      of_matrices_{by_matrices_, settings.discriminator_optimizer},
      of_planes_{by_planes_, settings.discriminator_optimizer},
      of_generator_{task.generator(), settings.generator_optimizer} {
  by_matrices_.load(task.discriminator().state_dict());
  by_planes_.load(task.discriminator().state_dict());
}

at::Tensor FormedStep::discriminator_loss_of(const at::Tensor& recorded, const at::Tensor& made) {
  if (!form_.judged_together) return discriminator_loss(judge()(recorded), judge()(made));
  const auto n = recorded.size(0);
  const auto opinions = judge()(at::cat({recorded, made}));
  return discriminator_loss(judgements_of(opinions, 0, n), judgements_of(opinions, n, n));
}

Judgements FormedStep::opinion_on_recorded(const at::Tensor& recorded) {
  const c10::AutoGradMode with_gradients(!form_.plain_real);
  return judge()(recorded);
}

at::Tensor FormedStep::generator_loss_of(const TrainingOutput& out, const at::Tensor& recorded) {
  const auto real = opinion_on_recorded(recorded), made = judge()(out.wave);
  const auto mel = vocoder_mel(settings_.model);
  const auto mel_distance = mel_loss(out.wave.squeeze(1), recorded.squeeze(1), mel);
  if (!form_.one_mel) {
    const c10::NoGradGuard no_grad;
    (void)mel_loss(out.wave.squeeze(1), recorded.squeeze(1), mel);
  }
  const auto kl = kl_loss(out.z_prior, out.posterior.log_std, out.prior.mean, out.prior.log_std, out.mask);
  auto feature = at::zeros({});
  for (std::size_t i = 0; i < real.size(); ++i) {
    for (std::size_t layer = 0; layer < real[i].features.size(); ++layer) {
      feature = feature + at::l1_loss(real[i].features[layer], made[i].features[layer]);
    }
  }
  const auto& weights = settings_.losses;
  if (!form_.late_reading) (void)(mel_distance.item<double>() + kl.item<double>() + feature.item<double>());
  return adversarial_loss(made) * weights.adversarial + feature * weights.feature + mel_distance * weights.mel +
         kl * weights.kl;
}

void FormedStep::optimize(Optimizers& of, const at::Tensor& loss) {
  const auto backward = [&](auto& optimizer) {
    optimizer.zero_grad();
    loss.backward();
    const at::Tensor norm = optimizer.gradient_norm();
    if (!form_.late_reading) (void)(loss.item<double>() + norm.item<double>());
    return norm;
  };
  if (form_.fused_optimizer) {
    if (!of.fused) of.fused.emplace(of.network, of.config);
    const auto norm = backward(*of.fused);
    of.fused->step(of.config.lr, at::isfinite(norm).logical_not());
  } else {
    if (!of.plain) of.plain.emplace(of.network);
    (void)backward(*of.plain);
    of.plain->step(of.config);
  }
}

StepLosses FormedStep::operator()(const Batch& batch, const StepContext& context) {
  std::optional<OrdinaryTensorMemory> ordinary;
  if (!form_.reused_memory) ordinary.emplace();
  const auto& model = settings_.model;
  const auto& spectrum = batch.at("spectrum");
  const auto noise = NoiseSource().draw(model, spectrum.size(0), spectrum.size(2), context);
  const RvcInput input{batch.at("content"), batch.at("lengths"), batch.at("coarse_pitch"), batch.at("f0"),
                       batch.at("speaker")};
  const auto out = task_.generator().forward(input, spectrum, noise);
  const auto recorded = slice_rows(batch.at("wave"), out.slice_starts * model.hop, model.segment_samples());

  judge().fold(false);
  judge().set_requires_grad(true);
  const auto judge_loss = discriminator_loss_of(recorded, out.wave.detach());
  optimize(form_.period_matrices ? of_matrices_ : of_planes_, judge_loss);

  if (form_.frozen_judge) {
    judge().set_requires_grad(false);
    judge().fold(form_.folded_weights);
  }
  const auto total = generator_loss_of(out, recorded);
  optimize(of_generator_, total);
  return {judge_loss.item<double>(), total.item<double>()};
}

}  // namespace melisma
