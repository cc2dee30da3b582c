// `melisma bench mix-losses`: multi-resolution STFT losses and their gradients, against auraloss in the same run.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "data/signal/stft_loss.h"
#include "tools/base/scratch_folder.h"
#include "tools/base/seed.h"
#include "tools/bench/benchmarks.h"
#include "tools/bench/peer.h"

namespace melisma {
namespace mix_losses_bench {
namespace {

struct Configuration {
  const char* name;  // also the peer's
  std::vector<StftLossConfig> (*configs)();
};
constexpr std::array kConfigurations{Configuration{"default", multi_resolution_configs},
                                     Configuration{"mixing", mixing_stft_configs}};

struct Cost {
  double value = 0;
  double cpu_seconds = std::numeric_limits<double>::infinity(), wall_seconds = cpu_seconds;
};

// Noise with an envelope, [batch, 2, samples]; the estimate is duller and softer than the target.
at::Tensor make_waves(std::int64_t batch, std::int64_t samples, double colour, double loud, std::int64_t number) {
  const auto made = at::empty({batch, 2, samples});
  for (std::int64_t row = 0; row < 2 * batch; ++row) {
    RandomSource random(seed_of(0, "bench mix-losses", {number, row}));
    auto* out = made.data_ptr<float>() + row * samples;
    double state = 0;
    for (std::int64_t i = 0; i < samples; ++i) {
      state += colour * (2 * random.uniform() - 1 - state);
      out[i] = static_cast<float>(loud * (.6 + .4 * std::sin(1e-4 * static_cast<double>(i))) * state);
    }
  }
  return made;
}

Cost measure(const at::Tensor& x, const at::Tensor& y, const std::vector<StftLossConfig>& configs, int repeats) {
  Cost cost;
  for (int run = 0; run <= repeats; ++run) {
    const double cpu = cpu_seconds(), wall = wall_seconds();
    const auto estimate = x.detach().set_requires_grad(true);
    const auto value = multi_resolution_stft_loss(estimate, y, configs);
    (void)torch::autograd::grad({value}, {estimate});
    cost.cpu_seconds = std::min(cost.cpu_seconds, cpu_seconds() - cpu);
    cost.wall_seconds = std::min(cost.wall_seconds, wall_seconds() - wall);
    cost.value = value.item<double>();
  }
  return cost;
}

void write_wave(const ScratchFolder& folder, const char* name, const at::Tensor& wave) {
  write_samples(folder / name, {wave.const_data_ptr<float>(), static_cast<std::size_t>(wave.numel())});
}

// The smaller of each number: the peer is asked before and after our own turn.
nlohmann::json faster_of(nlohmann::json a, const nlohmann::json& b) {
  for (const auto& [name, cost] : b.items()) {
    for (const char* clock : {"cpu", "wall"}) {
      a.at(name)[clock] = std::min(a.at(name).at(clock).get<double>(), cost.at(clock).get<double>());
    }
  }
  return a;
}

}  // namespace
}  // namespace mix_losses_bench

BenchmarkReport bench_mix_losses(const BenchmarkOptions& options) {
  using namespace mix_losses_bench;
  const std::int64_t batch = options.quick ? 1 : 4, samples = options.quick ? 65536 : 131072;
  const auto repeats = options.repeats > 0 ? options.repeats : 10;
  const auto x = make_waves(batch, samples, .5, .3, 1), y = make_waves(batch, samples, .2, .5, 2);
  const ScratchFolder folder;
  write_wave(folder, "x.f32", x);
  write_wave(folder, "y.f32", y);
  BenchmarkReport report{
      .setting = {
          fmt::format("value and gradient of multi-resolution STFT losses, {} stereo waves of {} samples, float, "
                      "fastest of {} calls; CPU time on one thread, wall time on two",
                      batch, samples, repeats)}};
  const auto threads_before = at::get_num_threads();
  double largest = 0;
  for (const int threads : {1, 2}) {
    const auto ask = [&] {
      return ask_peer(options.python, "mix_losses_auraloss.py",
                      {(folder / "x.f32").string(), (folder / "y.f32").string(), std::to_string(batch),
                       std::to_string(samples), std::to_string(threads), std::to_string(repeats)},
                      threads);
    };
    auto peer = ask();
    at::set_num_threads(threads);
    std::vector<Cost> costs;
    for (const auto& configuration : kConfigurations) costs.push_back(measure(x, y, configuration.configs(), repeats));
    at::set_num_threads(threads_before);
    if (!peer.empty()) peer = faster_of(std::move(peer), ask());
    for (std::size_t i = 0; i < kConfigurations.size(); ++i) {
      const auto name = fmt::format("{}, {} thread{}", kConfigurations[i].name, threads, threads > 1 ? "s" : "");
      const double ours = threads == 1 ? costs[i].cpu_seconds : costs[i].wall_seconds;
      const char* unit = threads == 1 ? "CPU ms" : "wall ms";
      report.figures.push_back({.name = name, .unit = unit, .value = 1000 * ours});
      if (peer.empty()) continue;
      const auto& theirs = peer.at(kConfigurations[i].name);
      const double seconds = theirs.at(threads == 1 ? "cpu" : "wall");
      report.figures.push_back({.name = name + ", auraloss", .unit = unit, .value = 1000 * seconds});
      report.figures.push_back(
          {.name = name + ", auraloss / ours", .unit = "x", .value = seconds / ours, .at_least = 1.5});
      const double value = theirs.at("value");
      largest = std::max(largest, std::abs(costs[i].value - value) / value);
    }
    if (peer.empty() && threads == 1) {
      report.setting.push_back(
          fmt::format("not compared: '{}' lacks auraloss; python3 -m venv peers && peers/bin/pip install torch==2.11.0 "
                      "numpy scipy && "
                      "peers/bin/pip install --no-deps auraloss==0.4.0, then --python peers/bin/python",
                      options.python));
    }
  }
  if (report.setting.size() == 1) {
    report.figures.push_back(
        {.name = "largest relative difference of a value", .unit = "", .value = largest, .at_most = 1e-6});
  }
  return report;
}

}  // namespace melisma
