// `melisma bench conversion`: a song through a full-size voice, with pitch, content and an index, against the same
// steps in PyTorch.
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <vector>

#include "data/audio/audio_file.h"
#include "data/audio/audio_writer.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/program.h"
#include "tools/base/scratch_folder.h"
#include "tools/bench/benchmarks.h"
#include "tools/bench/known_voices.h"
#include "tools/bench/peer.h"
#include "tools/bench/random_models.h"
#include "train/prepare/parallel.h"

namespace melisma {
namespace conversion_bench {
namespace {
namespace fs = std::filesystem;

constexpr double kSeconds = 240, kQuickSeconds = 20;
constexpr std::int64_t kRateHz = 16000, kIndexRows = 20000, kQuickIndexRows = 2000;
constexpr double kMostMegabytes = 2560, kTimesFaster = 1.3;

void write_files(const ScratchFolder& folder, bool quick) {
  const auto song = singing_voice(quick ? kQuickSeconds : kSeconds).wave;
  write_audio(folder / "song.wav", Waveform(song, 1, kRateHz), "wav32f");
  write_samples(folder / "song.f32", song);
  write_random_hubert(folder / "hubert.safetensors");
  write_random_voice(folder / "voice.pth");
  write_random_index(folder / "voice.index", quick ? kQuickIndexRows : kIndexRows);
}

struct Converted {
  ProgramCost cost;
  double seconds = 0;  // of the conversion itself, loading of the content and pitch networks included
};

Converted convert(const ScratchFolder& folder, int threads) {
  const auto name = [&](const char* file) { return (folder / file).string(); };
  const auto output = folder / "melisma.log";
  const std::vector<std::string> words{fs::read_symlink("/proc/self/exe").string(),
                                       "--threads",
                                       std::to_string(threads),
                                       "convert",
                                       name("voice.pth"),
                                       name("song.wav"),
                                       "-o",
                                       name("ours.wav"),
                                       "--content-weights",
                                       name("hubert.safetensors"),
                                       "--f0-method",
                                       "rmvpe",
                                       "--f0-set",
                                       "rmvpe.weights=" + name("rmvpe.pt"),
                                       "--index",
                                       name("voice.index"),
                                       "--index-rate",
                                       "0.5",
                                       "--json"};
  Converted made{.cost = run_to_end(words, output)};
  const auto said = read_file(output);
  if (made.cost.exit_code != 0) {
    fail(ErrorKind::internal, "melisma convert ended with exit code {}: {}", made.cost.exit_code, said);
  }
  // Remarks on standard error come before it.
  const auto json = nlohmann::json::parse(said.substr(said.find('[')));
  made.seconds = json.at(0).at("elapsed_seconds");
  return made;
}

double level_db(std::span<const float> samples) {
  double power = 0;
  for (const double x : samples) power += x * x;
  return 10 * std::log10(power / static_cast<double>(samples.size()));
}

std::vector<float> samples_of(const std::string& bytes) {
  std::vector<float> samples(bytes.size() / sizeof(float));
  std::memcpy(samples.data(), bytes.data(), samples.size() * sizeof(float));
  return samples;
}

}  // namespace
}  // namespace conversion_bench

BenchmarkReport bench_conversion(const BenchmarkOptions& options) {
  using namespace conversion_bench;
  const auto threads = n_usable_processors();
  const double seconds = options.quick ? kQuickSeconds : kSeconds;
  const ScratchFolder folder;
  write_files(folder, options.quick);
  BenchmarkReport report{.setting = {fmt::format(
                             "{:g} s of singing, RVC v2 at 40 kHz, HuBERT base and RMVPE with random weights, an index "
                             "of {} rows at rate 0.5; {} threads, by the clock",
                             seconds, options.quick ? kQuickIndexRows : kIndexRows, threads)}};
  const auto peer = ask_peer(options.python, "conversion_pipeline.py",
                             {(folder / "").string(), std::to_string(threads), "0"}, threads);
  if (peer.empty()) {
    report.setting.push_back(
        fmt::format("not run: '{}' lacks torch, transformers, librosa or faiss; python3 -m venv peers && peers/bin/pip "
                    "install torch "
                    "transformers librosa faiss-cpu, then --python peers/bin/python",
                    options.python));
    return report;
  }
  const auto ours = convert(folder, threads);
  const double theirs = peer.at("wall_seconds");
  report.figures = {
      {.name = "ours, real-time factor", .unit = "s per s", .value = ours.seconds / seconds},
      {.name = "PyTorch, real-time factor", .unit = "s per s", .value = theirs / seconds},
      {.name = "PyTorch / ours", .unit = "x", .value = theirs / ours.seconds, .at_least = kTimesFaster},
      {.name = "ours, CPU time", .unit = "s per s", .value = ours.cost.cpu_seconds / seconds},
      {.name = "PyTorch, CPU time", .unit = "s per s", .value = peer.at("cpu_seconds").get<double>() / seconds},
      {.name = "ours, peak memory", .unit = "MB", .value = ours.cost.peak_megabytes, .at_most = kMostMegabytes},
      {.name = "PyTorch, peak memory", .unit = "MB", .value = peer.at("peak_megabytes")},
      {.name = "difference of level",
       .unit = "dB",
       .value = std::abs(level_db(read_audio(folder / "ours.wav").samples) -
                         level_db(samples_of(read_file(folder / "theirs.f32")))),
       .at_most = 1},
  };
  return report;
}

}  // namespace melisma
