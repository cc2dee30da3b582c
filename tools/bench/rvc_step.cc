#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "models/layers/packed_matrix.h"
#include "tools/bench/benchmarks.h"
#include "tools/bench/flop_count.h"
#include "tools/bench/peer.h"
#include "train/engine/optimizer.h"
#include "train/engine/precision.h"
#include "train/tasks/rvc_task.h"

namespace melisma {
namespace {

constexpr std::int64_t kStepBatch = 4;
constexpr std::int64_t kStepFrames = 300;

// The losses of one step, by which the two ways are checked against each other.
struct StepLosses {
  double discriminator = 0, generator = 0;
};

Batch random_batch(const RvcConfig& model) {
  auto generator = at::detail::createCPUGenerator(7);
  const at::TensorOptions floats;
  const auto wave = at::randn({kStepBatch, kStepFrames * model.hop}, generator, floats).mul_(0.1).clamp_(-1, 1);
  Batch batch;
  batch.n_items = kStepBatch;
  batch.add("content", at::randn({kStepBatch, kStepFrames, model.content_channels}, generator, floats));
  batch.add("lengths", at::full({kStepBatch}, kStepFrames, at::kLong));
  batch.add("coarse_pitch", at::full({kStepBatch, kStepFrames}, 100, at::kLong));
  batch.add("f0", at::full({kStepBatch, kStepFrames}, 220.0));
  batch.add("speaker", at::zeros({kStepBatch}, at::kLong));
  batch.add("wave", wave.unsqueeze(1));
  batch.add("spectrum", linear_spectrogram(wave, vocoder_mel(model)));
  return batch;
}

// AdamW as torch.optim runs it on the CPU: a handful of operations a tensor, one tensor after the other.
class PlainAdamW {
 public:
  explicit PlainAdamW(const Module& module) {
    for (const auto& [name, tensor] : module.parameters()) {
      slots_.push_back({tensor, at::zeros_like(tensor.detach()), at::zeros_like(tensor.detach())});
    }
  }
  void zero_grad() {
    for (auto& slot : slots_) slot.parameter.mutable_grad() = at::Tensor();
  }
  [[nodiscard]] double gradient_norm() const {
    std::vector<at::Tensor> norms;
    for (const auto& slot : slots_) norms.push_back(slot.parameter.grad().norm());
    return at::stack(norms).norm().item<double>();
  }
  void step(const OptimizerConfig& config) {
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

 private:
  struct Slot {
    at::Tensor parameter, mean, square;
  };
  std::vector<Slot> slots_;
  double steps_ = 0;
};

// The step as Applio's train.py takes it: both sides judged one after the other, the discriminator's weights and the
// recorded side's features kept in the generator's graph, periods as two-dimensional convolutions, an optimizer that
// loops over tensors.
class PeerStep {
 public:
  PeerStep(RvcTask& task, const RvcSettings& settings)
      : task_(task),
        settings_(settings),
        judge_(settings.discriminator, PeriodLayout::planes),
        discriminator_optimizer_(judge_),
        generator_optimizer_(task.generator()) {
    judge_.load(task.discriminator().state_dict());
  }

  StepLosses operator()(const Batch& batch, const StepContext& context) {
    const auto& model = settings_.model;
    const auto noise = NoiseSource().draw(model, kStepBatch, kStepFrames, context);
    const RvcInput input{batch.at("content"), batch.at("lengths"), batch.at("coarse_pitch"), batch.at("f0"),
                         batch.at("speaker")};
    const auto out = task_.generator().forward(input, batch.at("spectrum"), noise);
    const auto wave = slice_rows(batch.at("wave"), out.slice_starts * model.hop, model.segment_samples());
    const auto real = judge_(wave), made = judge_(out.wave.detach());
    const auto judge_loss = discriminator_loss(real, made);
    discriminator_optimizer_.zero_grad();
    judge_loss.backward();
    (void)discriminator_optimizer_.gradient_norm();
    discriminator_optimizer_.step(settings_.discriminator_optimizer);

    const auto real_again = judge_(wave), made_again = judge_(out.wave);
    const auto mel = vocoder_mel(model);
    const auto mel_loss = at::l1_loss(log_mel(out.wave.squeeze(1), mel), log_mel(wave.squeeze(1), mel));
    const auto kl = kl_loss(out.z_prior, out.posterior.log_std, out.prior.mean, out.prior.log_std, out.mask);
    auto feature = at::zeros({});
    for (std::size_t i = 0; i < real_again.size(); ++i) {
      for (std::size_t layer = 0; layer < real_again[i].features.size(); ++layer) {
        feature = feature + (real_again[i].features[layer] - made_again[i].features[layer]).abs().mean();
      }
    }
    const auto& weights = settings_.losses;
    const auto total = adversarial_loss(made_again) * weights.adversarial + feature * weights.feature +
                       mel_loss * weights.mel + kl * weights.kl;
    generator_optimizer_.zero_grad();
    total.backward();
    (void)generator_optimizer_.gradient_norm();
    generator_optimizer_.step(settings_.generator_optimizer);
    return {judge_loss.item<double>(), total.item<double>()};
  }

 private:
  RvcTask& task_;
  const RvcSettings& settings_;
  Discriminator judge_;
  PlainAdamW discriminator_optimizer_, generator_optimizer_;
};

// The step as this program's trainer takes it.
class OwnStep {
 public:
  OwnStep(RvcTask& task, const RvcSettings& settings)
      : task_(task),
        settings_(settings),
        discriminator_optimizer_(task.discriminator(), settings.discriminator_optimizer),
        generator_optimizer_(task.generator(), settings.generator_optimizer) {}

  StepLosses operator()(const Batch& batch, const StepContext& context) {
    task_.begin_step({&batch, 1});
    StepLosses values;
    values.discriminator = turn(0, discriminator_optimizer_, settings_.discriminator_optimizer.lr, batch, context);
    values.generator = turn(1, generator_optimizer_, settings_.generator_optimizer.lr, batch, context);
    return values;
  }

 private:
  double turn(std::size_t network, AdamW& optimizer, double lr, const Batch& batch, const StepContext& context) {
    optimizer.zero_grad();
    const auto losses = [&] {
      const PrecisionScope scope(settings_.trainer.precision);
      return task_.losses(network, batch, context);
    }();
    losses.total.backward();
    optimizer.step(lr, at::isfinite(optimizer.gradient_norm()).logical_not());
    return losses.total.item<double>();
  }

  RvcTask& task_;
  const RvcSettings& settings_;
  AdamW discriminator_optimizer_, generator_optimizer_;
};

// One way of taking the step: its own networks, and what each of its steps gave.
template <class Step>
class Contestant {
 public:
  explicit Contestant(const RvcSettings& settings) : task_(settings, {}, nullptr, {}, {}), step_(task_, settings) {}

  void take(const Batch& batch, int index) {
    const FlopCount flops;
    const auto before = melisma::cpu_seconds();
    losses_.push_back(step_(batch, StepContext(1, 1, index, 0)));
    seconds_.push_back(melisma::cpu_seconds() - before);
    gflop_ = flops.operations() / 1e9;
  }

  [[nodiscard]] const std::vector<StepLosses>& losses() const { return losses_; }
  [[nodiscard]] double gflop() const { return gflop_; }  // of one step
  // Median CPU seconds a step, the first one not counted.
  [[nodiscard]] double cpu_seconds() const {
    std::vector<double> counted(seconds_.begin() + 1, seconds_.end());
    const auto middle = counted.begin() + std::ssize(counted) / 2;
    std::nth_element(counted.begin(), middle, counted.end());
    return *middle;
  }

 private:
  RvcTask task_;
  Step step_;
  std::vector<StepLosses> losses_;
  std::vector<double> seconds_;
  double gflop_ = 0;
};

double worst_difference(const std::vector<StepLosses>& a, const std::vector<StepLosses>& b) {
  double worst = 0;
  const auto add = [&](double x, double y) { worst = std::max(worst, std::abs(x - y) / std::abs(y)); };
  for (std::size_t i = 0; i < std::min<std::size_t>(2, a.size()); ++i) {
    add(a[i].discriminator, b[i].discriminator);
    add(a[i].generator, b[i].generator);
  }
  return worst;
}

}  // namespace

BenchmarkReport bench_rvc_step(const BenchmarkOptions& options) {
  const auto threads = at::get_num_threads();
  at::set_num_threads(1);
  RvcSettings settings;
  if (options.quick) {
    settings.model.upsample_initial_channels = 128;
    settings.discriminator = {"v2", 4, 4};
  }
  const int repeats = options.repeats > 0 ? options.repeats : 3;
  const auto batch = random_batch(settings.model);
  Contestant<OwnStep> own(settings);
  Contestant<PeerStep> peer(settings);
  auto rounded_settings = settings;
  rounded_settings.trainer.precision = "bf16";
  std::optional<Contestant<OwnStep>> rounded;
  if (cpu_multiplies_bf16()) rounded.emplace(rounded_settings);
  for (int i = 0; i <= repeats; ++i) {  // in turn, so that all meet the same machine
    own.take(batch, i);
    peer.take(batch, i);
    if (rounded) rounded->take(batch, i);
  }
  const double gemm = options.gemm_gflops();
  at::set_num_threads(threads);
  const double own_rate = own.gflop() / own.cpu_seconds(), peer_rate = peer.gflop() / peer.cpu_seconds();
  BenchmarkReport report;
  report.setting = {
      fmt::format("RVC v2 40k{}, batch {}, {} frames, fp32, one thread, median of {} steps, CPU seconds",
                  options.quick ? " (narrowed)" : "", kStepBatch, kStepFrames, repeats),
      "peer: discriminator gradients kept in the generator's step, gradients through the real features, both sides "
      "judged apart, periods as two-dimensional convolutions, optimizer tensor by tensor",
      "losses: worst relative difference of the first two steps; shares are of this machine's matrix-product rate",
  };
  report.figures = {
      {.name = "ratio", .unit = "x", .value = peer.cpu_seconds() / own.cpu_seconds(), .at_least = 1.35},
      {.name = "loss difference",
       .unit = "relative",
       .value = worst_difference(own.losses(), peer.losses()),
       .at_most = 5e-5},
      {.name = "own step", .unit = "s", .value = own.cpu_seconds()},
      {.name = "peer step", .unit = "s", .value = peer.cpu_seconds()},
      {.name = "own work", .unit = "GFLOP", .value = own.gflop()},
      {.name = "peer work", .unit = "GFLOP", .value = peer.gflop()},
      {.name = "own rate", .unit = "GFLOP/s", .value = own_rate},
      {.name = "peer rate", .unit = "GFLOP/s", .value = peer_rate},
      {.name = "matrix-product rate", .unit = "GFLOP/s", .value = gemm},
      {.name = "own share", .unit = "%", .value = 100 * own_rate / gemm},
      {.name = "peer share", .unit = "%", .value = 100 * peer_rate / gemm},
  };
  if (rounded) {
    report.figures.push_back({.name = "own step in bf16", .unit = "s", .value = rounded->cpu_seconds()});
    report.figures.push_back(
        {.name = "fp32 / bf16", .unit = "x", .value = own.cpu_seconds() / rounded->cpu_seconds(), .at_least = 1.5});
    report.figures.push_back({.name = "bf16 loss difference",
                              .unit = "relative",
                              .value = worst_difference(rounded->losses(), own.losses()),
                              .at_most = 0.05});
  }
  return report;
}

}  // namespace melisma
