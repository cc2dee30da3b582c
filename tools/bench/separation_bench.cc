// `melisma bench separation`: BSS Eval of four stereo stems, against museval's in the same run.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/sets/npy.h"
#include "eval/metrics/separation.h"
#include "tools/base/scratch_folder.h"
#include "tools/base/seed.h"
#include "tools/bench/benchmarks.h"
#include "tools/bench/peer.h"

namespace melisma {
namespace separation_bench {
namespace {

constexpr std::int64_t kRateHz = 44100, kSources = 4, kChannels = 2;
constexpr std::int64_t kSeconds = 60, kQuickSeconds = 10;

struct Stems {
  at::Tensor references, estimates;  // [sources, channels, N] double
};

// Coloured noise with an envelope of its own a stem; estimates have an echo, leak into each other and hiss.
Stems make_stems(std::int64_t seconds) {
  const auto n = seconds * kRateHz;
  Stems stems{at::empty({kSources, kChannels, n}, at::kDouble), {}};
  for (std::int64_t source = 0; source < kSources; ++source) {
    for (std::int64_t channel = 0; channel < kChannels; ++channel) {
      RandomSource random(seed_of(0, "bench separation", {source, channel}));
      auto* out = stems.references[source][channel].data_ptr<double>();
      const double colour = 0.2 + 0.2 * static_cast<double>(source);
      double state = 0;
      for (std::int64_t i = 0; i < n; ++i) {
        const double t = static_cast<double>(i) / kRateHz, white = 2 * random.uniform() - 1;
        state += colour * (white - state);
        out[i] = (0.6 + 0.4 * std::sin((1 + static_cast<double>(source)) * t)) * (state + 0.02 * white);
      }
    }
  }
  const auto delayed = at::constant_pad_nd(stems.references, {3, 0}).slice(2, 0, n);
  auto generator = at::detail::createCPUGenerator(seed_of(0, "bench separation noise", {}));
  const auto noise = at::randn(stems.references.sizes(), generator, stems.references.options());
  stems.estimates = 0.95 * stems.references + 0.05 * delayed + 0.1 * stems.references.roll({1}, {0}) + 0.003 * noise;
  return stems;
}

void write_stems(const ScratchFolder& folder, const char* name, const at::Tensor& stems) {
  const auto frames_first = stems.transpose(1, 2).contiguous();  // [sources, N, channels], as museval takes it
  const std::vector<std::int64_t> shape(frames_first.sizes().begin(), frames_first.sizes().end());
  write_npy<double>(folder / name, {frames_first.data_ptr<double>(), static_cast<std::size_t>(frames_first.numel())},
                    shape);
}

// The largest difference of any ratio of any frame, in dB.
double largest_difference(const std::vector<ImageRatios>& ours, const nlohmann::json& theirs) {
  double largest = 0;
  for (std::size_t source = 0; source < ours.size(); ++source) {
    for (const auto& [name, values] : {std::pair{"sdr", ours[source].sdr},
                                       {"isr", ours[source].isr},
                                       {"sir", ours[source].sir},
                                       {"sar", ours[source].sar}}) {
      for (std::size_t frame = 0; frame < values.size(); ++frame) {
        largest = std::max(largest, std::abs(values[frame] - theirs.at(name).at(source).at(frame).get<double>()));
      }
    }
  }
  return largest;
}

}  // namespace
}  // namespace separation_bench

BenchmarkReport bench_separation(const BenchmarkOptions& options) {
  using namespace separation_bench;
  const auto seconds = options.quick ? kQuickSeconds : kSeconds;
  const auto repeats = options.repeats > 0 ? options.repeats : 1;
  const auto stems = make_stems(seconds);
  std::vector<ImageRatios> ratios;
  const BssConfig config{.window = kRateHz, .hop = kRateHz};
  const auto threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto ours = cheapest(repeats, [&] { ratios = bss_eval_images(stems.references, stems.estimates, config); });
  at::set_num_threads(threads);
  BenchmarkReport report{
      .setting = {fmt::format("four stereo stems of {} s at 44.1 kHz, frames of 1 s, filters of 512 taps, one thread, "
                              "cheapest of {} runs, CPU time",
                              seconds, repeats)},
      .figures = {{.name = "BSS Eval v4", .unit = "CPU s", .value = ours}}};
  const ScratchFolder folder;
  write_stems(folder, "references.npy", stems.references);
  write_stems(folder, "estimates.npy", stems.estimates);
  const auto peer = ask_peer(options.python, "bss_museval.py",
                             {(folder / "references.npy").string(), (folder / "estimates.npy").string(),
                              std::to_string(kRateHz), std::to_string(repeats)});
  if (peer.empty()) {
    report.setting.push_back(fmt::format(
        "not compared: '{}' lacks museval; python3 -m venv peers && peers/bin/pip install museval, then --python "
        "peers/bin/python",
        options.python));
    return report;
  }
  const double theirs = peer.at("cpu_seconds");
  report.figures.push_back({.name = "museval", .unit = "CPU s", .value = theirs});
  report.figures.push_back({.name = "museval / ours", .unit = "x", .value = theirs / ours, .at_least = 2});
  report.figures.push_back({.name = "largest difference of a ratio",
                            .unit = "dB",
                            .value = largest_difference(ratios, peer),
                            .at_most = 1e-3});
  return report;
}

}  // namespace melisma
