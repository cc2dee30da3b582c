// `melisma bench pitch-networks`: RMVPE, CREPE and FCPE against the same networks in Python, in the same run.
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "data/signal/thread_limit.h"
#include "infer/features/pitch.h"
#include "models/pitch/pitch_files.h"
#include "tools/base/scratch_folder.h"
#include "tools/bench/benchmarks.h"
#include "tools/bench/known_voices.h"
#include "tools/bench/peer.h"

namespace melisma {
namespace pitch_networks_bench {
namespace {

constexpr double kSeconds = 20, kQuickSeconds = 5;
constexpr std::size_t kPeersEveryFrame = 10;  // the peer keeps one frame of RMVPE's salience in so many

// The same pitch with the weights that the peer used.
PitchConfig config_of(const std::string& method, const std::string& weights) {
  PitchConfig config{.method = method};
  config.rmvpe.weights = config.crepe_tiny.weights = config.fcpe.weights = weights;
  if (method == "fcpe") config.fmin_hz = 20, config.fmax_hz = 4000;  // the peer hears all
  return config;
}

struct Compared {
  std::string_view method, peer;
  double at_least;  // times the peer's speed
};
constexpr std::array kCompared{Compared{"rmvpe", "its twin in PyTorch", 1.3}, Compared{"crepe-tiny", "torchcrepe", 1.3},
                               Compared{"fcpe", "torchfcpe", 1}};

double largest_salience_difference(const std::vector<float>& wave, const nlohmann::json& peer) {
  const c10::InferenceMode inference;
  const auto network = load_rmvpe(peer["weights"].get<std::string>());
  const auto& theirs = peer["salience"];
  double largest = 0;
  std::size_t t = 0;
  network->listen(wave, {}, [&](const at::Tensor& piece) {
    const auto rows = piece.contiguous();
    for (std::int64_t row = 0; row < rows.size(0); ++row, ++t) {
      if (t % kPeersEveryFrame != 0) continue;
      const auto* values = rows.const_data_ptr<float>() + row * rows.size(1);
      for (std::int64_t bin = 0; bin < rows.size(1); ++bin) {
        largest = std::max(largest, std::abs(values[bin] - theirs.at(t / kPeersEveryFrame).at(bin).get<double>()));
      }
    }
  });
  return largest;
}

// Share of frames that the peer hears otherwise: more than a cent apart. Unvoiced frames of ours are left out: the
// peer's are as its network gives them.
double share_that_differs(const std::vector<float>& ours, const nlohmann::json& theirs) {
  double differing = 0, voiced = 0;
  for (std::size_t t = 0; t < ours.size(); ++t) {
    if (ours[t] == 0) continue;
    ++voiced;
    differing += std::abs(1200 * std::log2(ours[t] / theirs.at(t).get<double>())) > 1;
  }
  return voiced == 0 ? 1 : differing / voiced;
}

void compare(const Compared& row, const nlohmann::json& peer, const std::vector<float>& wave, int repeats,
             BenchmarkReport& report) {
  auto config = config_of(std::string(row.method), peer["weights"]);
  config.crepe_tiny.mean_frames = config.crepe_tiny.median_frames = 1;  // the peer gives what the network hears
  std::vector<float> f0 = extract_pitch(wave, config, 1);               // loads the weights
  const double ours = cheapest(repeats, [&] { f0 = extract_pitch(wave, config, 1); });
  const double theirs = peer["cpu_seconds"], seconds = static_cast<double>(wave.size()) / kFeatureRateHz;
  const auto add = [&](std::string name, double value, std::string unit) -> BenchmarkFigure& {
    return report.figures.emplace_back(
        BenchmarkFigure{.name = std::move(name), .unit = std::move(unit), .value = value});
  };
  add(std::string(row.method), 1e3 * ours / seconds, "ms per s");
  add(fmt::format("{} {}", row.peer, row.method), 1e3 * theirs / seconds, "ms per s");
  add(fmt::format("{} / {}", row.peer, row.method), theirs / ours, "x").at_least = row.at_least;
  if (row.method == "rmvpe") {
    add("rmvpe: largest difference of salience", largest_salience_difference(wave, peer), "").at_most = 1e-3;
  } else {
    const auto share = share_that_differs(f0, peer["f0_hz"]);
    add(fmt::format("{}: voiced frames that differ", row.method), 100 * share, "%").at_most = 1;
  }
}

}  // namespace
}  // namespace pitch_networks_bench

BenchmarkReport bench_pitch_networks(const BenchmarkOptions& options) {
  using namespace pitch_networks_bench;
  const auto repeats = options.repeats > 0 ? options.repeats : 3;
  const auto wave = singing_voice(options.quick ? kQuickSeconds : kSeconds).wave;
  BenchmarkReport report{
      .setting = {fmt::format("{:g} s of a synthetic voice at 16 kHz, from samples to f0, one thread, cheapest of {} "
                              "runs, CPU time; rmvpe with random weights",
                              static_cast<double>(wave.size()) / kFeatureRateHz, repeats)}};
  const ScratchFolder folder;
  write_samples(folder / "voice.f32", wave);
  const auto peers = ask_peer(options.python, "pitch_networks.py",
                              {(folder / "voice.f32").string(), std::to_string(repeats), (folder / "").string()});
  const ThreadLimit one(1);
  for (const auto& row : kCompared) {
    const auto peer = peers.find(std::string(row.method));
    if (peer != peers.end()) {
      compare(row, *peer, wave, repeats, report);
    } else {
      report.setting.push_back(fmt::format(
          "{} not compared: '{}' lacks the packages of {}; python3 -m venv peers && peers/bin/pip install torch "
          "torchcrepe torchfcpe, then --python peers/bin/python",
          row.method, options.python, row.peer));
    }
  }
  return report;
}

}  // namespace melisma
