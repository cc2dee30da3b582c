// What summing gradients over ranks costs by rank count, and how well the model of it predicts that.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "models/rvc/config.h"
#include "tools/bench/benchmarks.h"
#include "train/parallel/ranks_on_threads.h"
#include "train/parallel/scale.h"

namespace melisma {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kWidth = 512;  // a layer is a megabyte of gradients
constexpr std::int64_t kRows = 32;
constexpr double kBucketMb = 8;
constexpr std::int64_t kLatencyRounds = 200;

// A chain of matrix products: a backward pass that makes one gradient after the other.
class Chain {
 public:
  explicit Chain(std::int64_t n_layers) {
    for (std::int64_t i = 0; i < n_layers; ++i) {
      weights_.emplace_back(std::to_string(i), at::full({kWidth, kWidth}, 1e-3F).set_requires_grad(true));
    }
  }
  [[nodiscard]] const Ranks::NamedTensors& weights() const { return weights_; }
  void backward() const {
    for (const auto& [name, weight] : weights_) weight.mutable_grad() = at::Tensor();
    auto x = at::ones({kRows, kWidth});
    for (const auto& [name, weight] : weights_) x = at::tanh(at::matmul(x, weight));
    x.sum().backward();
  }

 private:
  Ranks::NamedTensors weights_;
};

struct Measured {
  double compute_seconds = 0;  // all ranks computing side by side, nothing summed
  double step_seconds = 0;     // the same with their gradients summed
  double overlapped = 0;       // share of buckets that were on their way before the backward pass was over
};

// The median of rank 0's times; ranks begin each round together.
double median_seconds(ProcessRanks& ranks, int repeats, const std::function<void()>& action) {
  std::vector<double> seconds;
  for (int i = 0; i < repeats + 1; ++i) {
    ranks.meet();
    const auto begin = Clock::now();
    action();
    ranks.meet();  // the step takes as long as its slowest rank
    if (i > 0) seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  std::ranges::nth_element(seconds, seconds.begin() + repeats / 2);
  return seconds[static_cast<std::size_t>(repeats / 2)];
}

Measured measure(std::int64_t n_ranks, std::int64_t n_layers, int repeats) {
  Measured measured;
  as_ranks({.n = n_ranks, .timeout_seconds = 300, .bucket_mb = kBucketMb}, [&](ProcessRanks& ranks) {
    const Chain chain(n_layers);
    const double alone = median_seconds(ranks, repeats, [&] { chain.backward(); });
    ranks.join({{"chain", chain.weights()}});
    const auto good = at::zeros({}, at::kBool);
    const double together = median_seconds(ranks, repeats, [&] {
      ranks.expect_gradients(0);
      chain.backward();
      (void)ranks.sum_gradients(0, good);
    });
    if (!ranks.is_first()) return;
    const auto& reducer = ranks.reducer(0);
    measured = {alone, together,
                static_cast<double>(reducer.n_overlapped()) / static_cast<double>(reducer.n_buckets())};
  });
  return measured;
}

// What this machine's loopback carries between two ranks that compute nothing.
Link measure_loopback(double bytes, int repeats) {
  Link link{.name = "this machine", .is_shared = true};
  as_ranks({.n = 2, .timeout_seconds = 300}, [&](ProcessRanks& ranks) {
    const double meeting = median_seconds(ranks, repeats,
                                          [&] {
                                            for (std::int64_t i = 0; i < kLatencyRounds; ++i) ranks.meet();
                                          }) /
                           static_cast<double>(kLatencyRounds);
    const auto flat = at::ones({static_cast<std::int64_t>(bytes / 4)}).set_requires_grad(true);
    ranks.join({{"flat", {{"all", flat}}}});
    flat.mutable_grad() = at::ones_like(flat);
    const auto good = at::zeros({}, at::kBool);
    const double whole = median_seconds(ranks, repeats, [&] {
      ranks.expect_gradients(0);
      (void)ranks.sum_gradients(0, good);
    });
    if (!ranks.is_first()) return;
    link.latency_seconds = meeting / 2;  // two messages a meeting of two ranks
    link.bytes_per_second = 2 * bytes / std::max(1e-9, whole - 2 * meeting);
  });
  return link;
}

// A step of RVC v2 40k, batch 4 a rank, on hardware of some speed.
StepCost voice_step(double tera_per_second) {
  constexpr double kOperations = 1350e9;                   // forward and backward of both networks
  constexpr double kParameters = 36'458'818 + 71'410'594;  // generator and discriminator
  constexpr double kBytes = 4 * kParameters, kBucketBytes = 25e6;
  return {.compute_seconds = kOperations / (tera_per_second * 1e12),
          .gradient_bytes = kBytes,
          .n_buckets = static_cast<std::int64_t>(kBytes / kBucketBytes) + 1};
}

BenchmarkTable prediction_table() {
  BenchmarkTable table{"predicted efficiency of RVC v2 40k, 4 clips a rank and step (431 MB of gradients), by ranks",
                       {{"a rank computes", "link", "2", "4", "8", "16", "32", "64"}}};
  const std::vector<Link> links{
      {"10 Gbit/s Ethernet", 1.25e9, 50e-6}, {"100 Gbit/s", 12.5e9, 10e-6}, {"NVLink, 300 GB/s", 300e9, 5e-6}};
  for (const double speed : {0.13, 10.0, 60.0}) {
    for (const auto& link : links) {
      std::vector<std::string> row{fmt::format("{:g} TFLOP/s", speed), link.name};
      for (const std::int64_t n : {2, 4, 8, 16, 32, 64}) {
        row.push_back(fmt::format("{:.0f} %", 100 * efficiency(voice_step(speed), n, link)));
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

}  // namespace

BenchmarkReport bench_reducer(const BenchmarkOptions& options) {
  const std::int64_t n_layers = options.quick ? 8 : 64;
  const int repeats = options.repeats > 0 ? options.repeats : 7;
  const double bytes = static_cast<double>(n_layers * kWidth * kWidth * 4);
  const auto cores = static_cast<std::int64_t>(std::thread::hardware_concurrency());
  const auto loopback = measure_loopback(bytes, repeats);
  BenchmarkReport report;
  report.setting = {
      fmt::format("{:.0f} MB of gradients in buckets of {:g} MB, ranks on threads of one process over loopback TCP, {} "
                  "cores",
                  bytes / 1e6, kBucketMb, cores),
      fmt::format("two idle ranks exchange {:.2f} GB/s in all, a message takes {:.0f} us; the prediction is told this, "
                  "how long ranks compute that sum nothing, and what one rank's copies into buckets take",
                  loopback.bytes_per_second / 1e9, loopback.latency_seconds * 1e6)};
  BenchmarkTable table{
      "a step by rank count, ms",
      {{"ranks", "without sums", "with sums", "overhead", "predicted", "measured / predicted", "buckets overlapped"}}};
  double copy_seconds = 0;
  for (const std::int64_t n : {1, 2, 4}) {
    const auto measured = measure(n, n_layers, repeats);
    if (n == 1) copy_seconds = std::max(0.0, measured.step_seconds - measured.compute_seconds);
    const double crowding = std::max(1.0, static_cast<double>(n) / static_cast<double>(cores));
    // Loopback is copied by the cores that compute: what they have no time for is not hidden behind the backward pass.
    const double spare = std::max(0.0, static_cast<double>(cores - n) / static_cast<double>(n));
    const StepCost step{.compute_seconds = measured.compute_seconds,
                        .backward_share = 2.0 / 3 * std::min(1.0, spare),
                        .gradient_bytes = bytes,
                        .n_buckets = static_cast<std::int64_t>(bytes / (kBucketMb * 1e6)) + 1,
                        .copy_seconds = copy_seconds * crowding};
    const double predicted = step.compute_seconds + exposed_seconds(step, n, loopback);
    const double overhead = measured.step_seconds / measured.compute_seconds - 1;
    table.rows.push_back({std::to_string(n), fmt::format("{:.1f}", 1e3 * measured.compute_seconds),
                          fmt::format("{:.1f}", 1e3 * measured.step_seconds), fmt::format("{:.0f} %", 100 * overhead),
                          fmt::format("{:.1f}", 1e3 * predicted),
                          fmt::format("{:.2f}", measured.step_seconds / predicted),
                          fmt::format("{:.0f} %", 100 * measured.overlapped)});
    report.figures.push_back(
        {fmt::format("step of {} ranks, measured / predicted", n), "", measured.step_seconds / predicted});
  }
  report.tables = {std::move(table), prediction_table()};
  return report;
}

}  // namespace melisma
