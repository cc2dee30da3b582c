#include "tools/actions/convert_action.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "data/audio/audio_file.h"
#include "data/audio/audio_writer.h"
#include "infer/convert/convert.h"
#include "tools/actions/console.h"
#include "tools/actions/model_source.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"
#include "tools/base/table.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

// The row of a speaker given by name or number.
std::int64_t speaker_row(const Voice& voice, const std::string& speaker) {
  if (speaker.empty()) return 0;
  const auto& names = voice.speakers();
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == speaker) return static_cast<std::int64_t>(i);
  }
  std::int64_t row = -1;
  const auto [end, code] = std::from_chars(speaker.data(), speaker.data() + speaker.size(), row);
  if (code == std::errc{} && end == speaker.data() + speaker.size() && row >= 0) return row;
  throw Error(ErrorKind::usage, unknown_name_message("speaker", speaker, names));
}

struct Job {
  fs::path input, output;
};

// One job for a file; for a folder one a file, mirroring its sub-folders.
std::vector<Job> jobs_of(const ConvertActionOptions& options) {
  if (!fs::exists(options.input)) fail(ErrorKind::data, "no such file or folder: '{}'", options.input.string());
  if (!fs::is_directory(options.input)) return {{options.input, options.output}};
  const auto format = audio_format_named(options.format.empty() ? "wav16" : options.format);
  std::vector<Job> jobs;
  for (const auto& file : find_audio_files(options.input)) {
    auto target = options.output / fs::relative(file, options.input);
    target.replace_extension(format.extension);
    jobs.push_back({file, target});
  }
  if (jobs.empty()) fail(ErrorKind::data, "'{}' holds no audio files", options.input.string());
  return jobs;
}

nlohmann::ordered_json row_of(const Job& job, const Conversion& done) {
  return {{"input", job.input.string()},
          {"output", job.output.string()},
          {"fate", "converted"},
          {"seconds", done.seconds},
          {"elapsed_seconds", done.elapsed_seconds},
          {"real_time_factor", done.elapsed_seconds / done.seconds},
          {"voiced_share", done.voiced_share},
          {"median_f0_hz", done.median_f0_hz},
          {"peak", done.peak},
          {"remark", done.remark}};
}

void print_row(const nlohmann::ordered_json& row) {
  if (row["fate"] != "converted") {
    fmt::print("{}: failed: {}\n", row["input"].get<std::string>(), row["reason"].get<std::string>());
    return;
  }
  const std::string remark = row["remark"];
  fmt::print("{}: {:.2f} s of audio in {:.2f} s ({:.1f}x real time), voiced {:.0f} %, peak {:.2f}{}\n",
             row["output"].get<std::string>(), row["seconds"].get<double>(), row["elapsed_seconds"].get<double>(),
             1 / row["real_time_factor"].get<double>(), 100 * row["voiced_share"].get<double>(),
             row["peak"].get<double>(), remark.empty() ? "" : "; " + remark);
}

}  // namespace

int convert(const ConvertActionOptions& options) {
  install_stop_handlers();
  auto events = console_events();
  const auto jobs = jobs_of(options);
  const auto file = load_model(options.workspace, options.model);
  const auto voice = with_context(fmt::format("loading '{}'", options.model), [&] { return Voice::load(file); });
  ConvertOptions how{.pitch_semitones = options.pitch_semitones,
                     .speaker = speaker_row(voice, options.speaker),
                     .sample_rate_hz = options.sample_rate_hz,
                     .format = fs::is_directory(options.input) && options.format.empty() ? "wav16" : options.format,
                     .synthesis = {.noise_seed = options.noise_seed,
                                   .noise_scale = options.noise_scale,
                                   .chunk_frames = options.chunk_seconds * 100}};
  auto report = nlohmann::ordered_json::array();
  int code = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto& job = jobs[i];
    try {
      if (job.output.has_parent_path() && fs::is_directory(options.input))
        fs::create_directories(job.output.parent_path());
      const auto done = convert_file(voice, job.input, job.output, how, [&](double fraction) {
        events->receive(ProgressEvent{
            "converting", static_cast<double>(i) + fraction, static_cast<double>(jobs.size()), "files", {}});
      });
      report.push_back(row_of(job, done));
    } catch (const Error& error) {
      // One bad file of many does not stop the others; a lone file's error is the command's.
      if (jobs.size() == 1 || error.kind() != ErrorKind::data) throw;
      report.push_back({{"input", job.input.string()}, {"fate", "failed"}, {"reason", error.message()}});
      code = 3;
    }
    if (!options.json) print_row(report.back());
  }
  if (options.json) fmt::print("{}\n", report.dump(2));
  return code;
}

}  // namespace melisma
