#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "eval/statistics/quantile.h"
#include "models/layers/packed_matrix.h"
#include "models/layers/tensor_memory.h"
#include "tools/bench/benchmarks.h"
#include "tools/bench/flop_count.h"
#include "tools/bench/peer.h"
#include "tools/bench/rvc_step_ablation.h"
#include "tools/bench/rvc_step_forms.h"
#include "train/engine/precision.h"

namespace melisma {
namespace {

constexpr std::int64_t kStepBatch = 4;
constexpr std::int64_t kStepFrames = 300;
constexpr double kHeadroom = 3;  // of tensor memory

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

  void take(const Batch& batch, int index, int threads = 1) {
    at::set_num_threads(threads);
    const FlopCount flops;
    const double cpu = cpu_seconds(), wall = wall_seconds();
    losses_.push_back(step_(batch, StepContext(1, 1, index, 0)));
    auto& times = times_[threads];
    times.wall.push_back(wall_seconds() - wall);
    times.cpu.push_back(cpu_seconds() - cpu);
    gflop_ = flops.operations() / 1e9;
  }

  [[nodiscard]] const std::vector<StepLosses>& losses() const { return losses_; }
  [[nodiscard]] double gflop() const { return gflop_; }  // of one step
  // Medians a step, the first one with that many threads not counted.
  [[nodiscard]] double median_cpu(int threads = 1) const { return after_first(times_.at(threads).cpu); }
  [[nodiscard]] double median_wall(int threads) const { return after_first(times_.at(threads).wall); }

 private:
  struct Times {
    std::vector<double> cpu, wall;
  };
  static double after_first(const std::vector<double>& seconds) { return median(std::span(seconds).subspan(1)); }

  RvcTask task_;
  Step step_;
  std::vector<StepLosses> losses_;
  std::map<int, Times> times_;
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

using OwnContestant = Contestant<OwnStep>;

void add_comparison(std::vector<BenchmarkFigure>& figures, const OwnContestant& own, const Contestant<FormedStep>& peer,
                    double gemm) {
  const double own_rate = own.gflop() / own.median_cpu(), peer_rate = peer.gflop() / peer.median_cpu();
  figures = {
      {.name = "ratio", .unit = "x", .value = peer.median_cpu() / own.median_cpu(), .at_least = 1.4},
      {.name = "loss difference",
       .unit = "relative",
       .value = worst_difference(own.losses(), peer.losses()),
       .at_most = 5e-5},
      {.name = "own step", .unit = "s", .value = own.median_cpu()},
      {.name = "peer step", .unit = "s", .value = peer.median_cpu()},
      {.name = "own work", .unit = "GFLOP", .value = own.gflop()},
      {.name = "peer work", .unit = "GFLOP", .value = peer.gflop()},
      {.name = "own rate", .unit = "GFLOP/s", .value = own_rate},
      {.name = "peer rate", .unit = "GFLOP/s", .value = peer_rate},
      {.name = "matrix-product rate", .unit = "GFLOP/s", .value = gemm},
      {.name = "own share", .unit = "%", .value = 100 * own_rate / gemm},
      {.name = "peer share", .unit = "%", .value = 100 * peer_rate / gemm},
  };
}

void add_threads(std::vector<BenchmarkFigure>& figures, const OwnContestant& own) {
  figures.push_back({.name = "own step, 2 threads", .unit = "s", .value = own.median_wall(2)});
  figures.push_back({.name = "one thread / 2 threads, wall time",
                     .unit = "x",
                     .value = own.median_wall(1) / own.median_wall(2),
                     .at_least = 1.6});
}

void add_rounded(std::vector<BenchmarkFigure>& figures, const OwnContestant& rounded, const OwnContestant& own) {
  figures.push_back({.name = "own step in bf16", .unit = "s", .value = rounded.median_cpu()});
  figures.push_back(
      {.name = "fp32 / bf16", .unit = "x", .value = own.median_cpu() / rounded.median_cpu(), .at_least = 1.5});
  figures.push_back({.name = "bf16 loss difference",
                     .unit = "relative",
                     .value = worst_difference(rounded.losses(), own.losses()),
                     .at_most = 0.05});
}

// Own step, peer's and own in bf16 on one thread, then the own one on two.
std::vector<BenchmarkFigure> contest(const RvcSettings& settings, const Batch& batch, int repeats, int threads,
                                     double gemm) {
  // Each finds the blocks of its own last step, as in a training; otherwise those who differ in sizes evict each
  // other's.
  reuse_tensor_memory(kHeadroom);
  OwnContestant own(settings);
  Contestant<FormedStep> peer(settings);
  auto rounded_settings = settings;
  rounded_settings.trainer.precision = "bf16";
  std::optional<OwnContestant> rounded;
  if (cpu_multiplies_bf16()) rounded.emplace(rounded_settings);
  for (int i = 0; i <= repeats; ++i) {  // in turn, so that all meet the same machine
    own.take(batch, i);
    peer.take(batch, i);
    if (rounded) rounded->take(batch, i);
  }
  std::vector<BenchmarkFigure> figures;
  add_comparison(figures, own, peer, gemm);
  if (rounded) add_rounded(figures, *rounded, own);
  if (threads > 1) {
    for (int i = 1; i <= 2 * (repeats + 1); ++i) own.take(batch, repeats + i, i % 2 == 0 ? 1 : 2);
    add_threads(figures, own);
  }
  return figures;
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
  const auto batch = random_step_batch(settings.model, kStepBatch, kStepFrames);
  BenchmarkReport report;
  report.setting = {
      fmt::format("RVC v2 40k{}, batch {}, {} frames, fp32, one thread, median of {} steps, CPU seconds",
                  options.quick ? " (narrowed)" : "", kStepBatch, kStepFrames, repeats),
      "peer: discriminator gradients kept in the generator's step, gradients through the real features, both sides "
      "judged apart, periods as two-dimensional convolutions, optimizer tensor by tensor, memory as LibTorch gets it",
      "losses: worst relative difference of the first two steps; shares are of this machine's matrix-product rate",
  };
  report.figures = contest(settings, batch, repeats, threads, options.gemm_gflops());
  at::set_num_threads(1);
  if (options.ablate) {
    release_kept_tensor_memory();  // of the contest's networks
    report.tables.push_back(ablate_rvc_step(settings, batch, repeats));
    report.tables.push_back(ablate_rvc_loader(settings, repeats));
  }
  at::set_num_threads(threads);
  return report;
}

}  // namespace melisma
