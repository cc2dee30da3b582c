// `melisma bench features`: HuBERT content features against transformers' HubertModel with the same weights.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <vector>

#include "data/sets/npy.h"
#include "infer/features/content.h"
#include "models/content/hubert.h"
#include "models/layers/packed_matrix.h"
#include "tools/base/scratch_folder.h"
#include "tools/base/seed.h"
#include "tools/bench/benchmarks.h"
#include "tools/bench/peer.h"
#include "tools/bench/random_models.h"
#include "train/prepare/parallel.h"

namespace melisma {
namespace features_bench {
namespace {

// Clips as prepare cuts speech: at most 3 s, with shorter phrases and remainders between.
constexpr double kClipSeconds[] = {3.0, 1.4, 3.0, 2.2, 0.8, 3.0, 3.0, 1.9};
constexpr int kRounds = 4, kQuickRounds = 1;
constexpr std::size_t kClipsPerBlock = 16;  // as prepare makes features
constexpr std::int64_t kRateHz = 16000;

struct Clips {
  std::vector<float> samples;
  std::vector<std::int64_t> lengths;
  [[nodiscard]] double seconds() const { return static_cast<double>(samples.size()) / kRateHz; }
  [[nodiscard]] std::vector<std::span<const float>> spans() const {
    std::vector<std::span<const float>> spans;
    std::size_t at = 0;
    for (const auto length : lengths) {
      spans.emplace_back(samples.data() + at, static_cast<std::size_t>(length));
      at += static_cast<std::size_t>(length);
    }
    return spans;
  }
};

// Noise whose level and colour wander.
Clips make_clips(int rounds) {
  Clips clips;
  RandomSource random(seed_of(0, "bench features", {}));
  double state = 0;
  for (int round = 0; round < rounds; ++round) {
    for (const auto seconds : kClipSeconds) {
      clips.lengths.push_back(static_cast<std::int64_t>(seconds * kRateHz));
      for (std::int64_t i = 0; i < clips.lengths.back(); ++i) {
        const auto t = static_cast<double>(i) / kRateHz;
        state += (0.3 + 0.25 * std::sin(9 * t)) * (2 * random.uniform() - 1 - state);
        clips.samples.push_back(static_cast<float>(0.3 * (1 + std::sin(13 * t)) * state));
      }
    }
  }
  return clips;
}

struct Cost {
  double cpu_seconds = std::numeric_limits<double>::infinity(), wall_seconds = cpu_seconds;
};

// One pass over all clips on `threads` threads, the way prepare makes features; `cost` keeps the least.
std::vector<FeatureMatrix> pass(const Clips& clips, const ContentConfig& config, int threads, Cost& cost) {
  const auto spans = clips.spans();
  std::vector<FeatureMatrix> features(spans.size());
  // Blocks no larger than what gives each thread one.
  const auto block = std::clamp<std::size_t>(spans.size() / static_cast<std::size_t>(threads), 1, kClipsPerBlock);
  const auto begin_cpu = cpu_seconds();
  const double begin = wall_seconds();
  (void)for_each_parallel((spans.size() + block - 1) / block, threads, [&](std::size_t i) {
    const auto part = std::span(spans).subspan(i * block, std::min(block, spans.size() - i * block));
    auto made = extract_raw_content(part, config, 1);
    std::move(made.begin(), made.end(), features.begin() + static_cast<std::ptrdiff_t>(i * block));
  });
  cost.wall_seconds = std::min(cost.wall_seconds, wall_seconds() - begin);
  cost.cpu_seconds = std::min(cost.cpu_seconds, cpu_seconds() - begin_cpu);
  return features;
}

// Largest difference to the peer's rows [rows, width]; our last row of a clip may be one that was held.
double largest_difference(const std::vector<FeatureMatrix>& ours, const Clips& clips,
                          const std::vector<float>& theirs) {
  const HubertConfig config;
  double largest = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const auto n = static_cast<std::size_t>(config.n_frames(clips.lengths[i]) * ours[i].width);
    for (std::size_t k = 0; k < n; ++k, ++at) {
      largest = std::max(largest, std::abs(double{ours[i].values[k]} - double{theirs.at(at)}));
    }
  }
  return largest;
}

class Comparison {
 public:
  Comparison(const BenchmarkOptions& options)
      : options_(options),
        repeats_(options.repeats > 0 ? options.repeats : 3),
        clips_(make_clips(options.quick ? kQuickRounds : kRounds)) {
    write_random_hubert(folder_ / "weights.safetensors");
    write_samples(folder_ / "clips.f32", clips_.samples);
    config_ = {.method = "hubert", .weights = (folder_ / "weights.safetensors").string()};
    (void)content_width(config_);  // loads the weights
  }

  BenchmarkReport run() {
    report_.setting = {fmt::format(
        "{} clips of {:g} to {:g} s ({:.0f} s), HuBERT base with random weights, layer 12, "
        "cheapest of {} passes",
        clips_.lengths.size(), *std::min_element(std::begin(kClipSeconds), std::end(kClipSeconds)),
        *std::max_element(std::begin(kClipSeconds), std::end(kClipSeconds)), clips_.seconds(), 2 * repeats_)};
    compare(1);
    if (const auto threads = n_usable_processors(); threads > 1) compare(threads);
    measure_bf16();
    return std::move(report_);
  }

 private:
  // Half of our passes before the peer's and half after, so that a machine that slows down slows both.
  void compare(int threads) {
    Cost own;
    std::vector<FeatureMatrix> features;
    for (int i = 0; i < repeats_; ++i) features = pass(clips_, config_, threads, own);
    std::vector<std::string> arguments{(folder_ / "weights.safetensors").string(), (folder_ / "clips.f32").string(),
                                       (folder_ / "features.npy").string(), std::to_string(threads),
                                       std::to_string(2 * repeats_)};
    for (const auto length : clips_.lengths) arguments.push_back(std::to_string(length));
    const auto peer = ask_peer(options_.python, "hubert_transformers.py", arguments, threads);
    for (int i = 0; i < repeats_; ++i) features = pass(clips_, config_, threads, own);
    if (threads == 1) own_cpu_seconds_ = own.cpu_seconds, features_ = features;
    // One thread by CPU time, which others on the machine disturb least; several by the clock.
    const auto which = threads == 1 ? std::string("one thread") : fmt::format("{} threads", threads);
    add_cost("ours, " + which, threads == 1 ? own.cpu_seconds : own.wall_seconds, threads);
    if (peer.empty()) {
      if (threads == 1) {
        report_.setting.push_back(fmt::format(
            "not compared: '{}' lacks torch or transformers; python3 -m venv peers && peers/bin/pip install torch "
            "transformers, then --python peers/bin/python",
            options_.python));
      }
      return;
    }
    const double theirs = peer.at(threads == 1 ? "cpu_seconds" : "wall_seconds");
    add_cost("transformers, " + which, theirs, threads);
    report_.figures.push_back({.name = "transformers / ours, " + which,
                               .unit = "x",
                               .value = theirs / (threads == 1 ? own.cpu_seconds : own.wall_seconds),
                               .at_least = 1.5});
    if (threads != 1) return;
    report_.figures.push_back(
        {.name = "largest difference of a feature",
         .unit = "",
         .value = largest_difference(features, clips_, read_npy(folder_ / "features.npy").values<float>()),
         .at_most = 1e-4});
  }

  // What asking for bfloat16 would gain, and lose.
  void measure_bf16() {
    if (!cpu_multiplies_bf16()) return;
    auto config = config_;
    config.hubert.arithmetic = "bf16";
    (void)content_width(config);
    Cost cost;
    std::vector<FeatureMatrix> features;
    for (int i = 0; i < repeats_; ++i) features = pass(clips_, config, 1, cost);
    add_cost("ours in bf16, one thread", cost.cpu_seconds, 1);
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < features.size(); ++i) {
      for (std::size_t k = 0; k < features[i].values.size(); ++k) {
        difference += std::pow(double{features[i].values[k]} - double{features_[i].values[k]}, 2);
        size += std::pow(double{features_[i].values[k]}, 2);
      }
    }
    report_.figures.push_back({.name = "fp32 / bf16", .unit = "x", .value = own_cpu_seconds_ / cost.cpu_seconds});
    report_.figures.push_back(
        {.name = "bf16 against fp32", .unit = "dB", .value = 10 * std::log10(size / std::max(difference, 1e-300))});
  }

  void add_cost(std::string name, double seconds, int threads) {
    report_.figures.push_back({.name = std::move(name),
                               .unit = threads == 1 ? "CPU ms per s" : "ms per s",
                               .value = 1e3 * seconds / clips_.seconds()});
  }

  const BenchmarkOptions& options_;
  int repeats_;
  Clips clips_;
  ScratchFolder folder_;
  ContentConfig config_;
  BenchmarkReport report_;
  double own_cpu_seconds_ = 0;
  std::vector<FeatureMatrix> features_;
};

}  // namespace
}  // namespace features_bench

BenchmarkReport bench_features(const BenchmarkOptions& options) {
  const auto threads = at::get_num_threads();
  at::set_num_threads(1);
  auto report = features_bench::Comparison(options).run();
  at::set_num_threads(threads);
  return report;
}

}  // namespace melisma
