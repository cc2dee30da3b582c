#include "tools/actions/effects_action.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "data/audio/audio_file.h"
#include "data/effects/effects.h"
#include "tools/actions/file_jobs.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/stop.h"

namespace melisma {
namespace effects_action_detail {
namespace {
using Row = nlohmann::ordered_json;

// What a recording came to.
struct Result {
  std::int64_t n_frames = 0, sample_rate_hz = 0, n_channels = 0;
  double peak = 0;
};

// Reads, changes and writes block by block.
Result process(const FileJob& job, const EffectChain& chain, const AudioFormat& format) {
  constexpr std::int64_t kBlockFrames = 1 << 14;
  auto reader = AudioReader::open(job.input);
  const auto info = reader.info();
  const auto effect = chain.make(info.sample_rate_hz, info.n_channels);
  Result result{.sample_rate_hz = info.sample_rate_hz, .n_channels = info.n_channels};
  write_file_atomically(job.output, [&](const std::filesystem::path& temporary) {
    AudioWriter writer(temporary, info.sample_rate_hz, info.n_channels, format);
    const auto take = [&](const Waveform& block) {
      for (const float sample : block.samples) result.peak = std::max(result.peak, std::abs(double{sample}));
      writer.write(block);
    };
    while (true) {
      if (const int stop = stop_requested()) throw Error::interrupted(stop, "effects stopped");
      auto block = reader.read(kBlockFrames);
      if (block.samples.empty()) break;
      result.n_frames += block.n_frames();
      effect->push(std::move(block), take);
    }
    if (result.n_frames == 0) fail(ErrorKind::data, "'{}' holds no samples", job.input.string());
    effect->finish(take);
    writer.finish();
  });
  return result;
}

Row result_row(const FileJob& job, const EffectChain& chain, const AudioFormat& format) {
  const auto started = std::chrono::steady_clock::now();
  const auto result = process(job, chain, format);
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  const double seconds = static_cast<double>(result.n_frames) / static_cast<double>(result.sample_rate_hz);
  return {{"input", job.input.string()},
          {"output", job.output.string()},
          {"fate", "processed"},
          {"effects", chain.names()},
          {"seconds", seconds},
          {"channels", result.n_channels},
          {"elapsed_seconds", elapsed},
          {"real_time_factor", elapsed / seconds},
          {"peak", result.peak},
          {"remark", result.peak > 1 && format.name != "wav32f"
                         ? fmt::format("the result was clipped: its peak was {:.2f} of full scale", result.peak)
                         : ""}};
}

void print_result(const Row& row) {
  const std::string remark = row["remark"];
  fmt::print("{}: {:.2f} s through {} in {:.2f} s ({:.0f}x real time), peak {:.2f}{}\n",
             row["output"].get<std::string>(), row["seconds"].get<double>(),
             format_amount(static_cast<double>(row["effects"].size()), "effects"), row["elapsed_seconds"].get<double>(),
             1 / row["real_time_factor"].get<double>(), row["peak"].get<double>(), remark.empty() ? "" : "; " + remark);
}

}  // namespace
}  // namespace effects_action_detail

int apply_effects(const EffectsOptions& options) {
  using namespace effects_action_detail;
  install_stop_handlers();
  const auto chain = EffectChain::read(options.chain);
  const bool is_folder = is_folder_of_recordings(options.input);
  const auto& format = format_of_results(options.format, options.output, is_folder);
  const auto work = file_jobs(options.input, options.output, std::string(format.extension));
  return run_file_jobs(work,
                       {.task = "applying effects",
                        .done = "processed",
                        .make = [&](const FileJob& job, const auto&) { return result_row(job, chain, format); },
                        .print = print_result},
                       options.json);
}

}  // namespace melisma
