#include "tools/actions/pitch_action.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "data/audio/audio_file.h"
#include "infer/convert/source_audio.h"
#include "infer/features/pitch_curve.h"
#include "tools/actions/file_jobs.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/stop.h"

namespace melisma {
namespace pitch_action_detail {
namespace {
namespace fs = std::filesystem;
using Row = nlohmann::ordered_json;

bool is_curve(const fs::path& path) { return path.extension() == ".csv"; }

// The curve of a recording, or the one in a file.
PitchCurve curve_of(const fs::path& input, const PitchActionOptions& options) {
  if (is_curve(input)) return read_pitch_curve(input);
  return curve_of_frames(extract_pitch(read_source(input, options.high_pass_hz).wave_16k, options.config));
}

Row row_of(const FileJob& job, const PitchActionOptions& options) {
  auto curve = curve_of(job.input, options);
  auto edited = edit_pitch(curve.f0_hz, options.edits);
  curve.f0_hz = std::move(edited.f0_hz);
  if (!job.output.empty()) write_pitch_curve(job.output, curve);
  const auto summary = summarise_pitch(curve.f0_hz);
  return {{"input", job.input.string()},
          {"output", job.output.string()},
          {"fate", "read"},
          {"method", is_curve(job.input) ? "file" : options.config.method},
          {"frames", curve.f0_hz.size()},
          {"seconds", curve.end_s()},
          {"voiced_share", summary.voiced_share},
          {"median_hz", summary.median_hz},
          {"low_hz", summary.low_hz},
          {"high_hz", summary.high_hz},
          {"octave_jumps", count_octave_jumps(curve.f0_hz)},
          {"semitones", edited.semitones},
          {"repaired_frames", edited.repaired_frames}};
}

void print_row(const Row& row) {
  const std::string output = row.value("output", ""), input = row["input"];
  const double voiced = row["voiced_share"], median = row["median_hz"], low = row["low_hz"], high = row["high_hz"];
  auto line = fmt::format("{}: {:.2f} s, voiced {:.0f} %", output.empty() ? input : output,
                          row["seconds"].get<double>(), 100 * voiced);
  if (voiced > 0) {
    line += fmt::format(", median {:.1f} Hz, range {:.1f} to {:.1f} Hz, octave jumps {}", median, low, high,
                        row["octave_jumps"].get<std::int64_t>());
  }
  if (const double semitones = row["semitones"]; semitones != 0)
    line += fmt::format("; moved by {:+g} semitones", semitones);
  if (const double repaired = row["repaired_frames"]; repaired > 0) {
    line += fmt::format("; {} repaired", format_amount(repaired, "frames"));
  }
  fmt::print("{}\n", line);
}

// Without an output the recordings are only summed up.
FileJobs jobs_of(const PitchActionOptions& options) {
  if (!options.output.empty()) return file_jobs(options.input, options.output, ".csv");
  if (!is_folder_of_recordings(options.input)) return {.jobs = {{options.input, {}}}};
  FileJobs work{.is_folder = true};
  for (const auto& file : find_audio_files(options.input)) work.jobs.push_back({file, {}});
  if (work.jobs.empty()) {
    fail(ErrorKind::data, "'{}' holds no recordings; files with these endings are read: {}", options.input.string(),
         known_audio_extensions());
  }
  return work;
}

}  // namespace
}  // namespace pitch_action_detail

int pitch(const PitchActionOptions& options) {
  using namespace pitch_action_detail;
  install_stop_handlers();
  options.edits.check();
  const auto make = [&](const FileJob& job, const auto&) {
    if (const int stop = stop_requested()) throw Error::interrupted(stop, "stopped between recordings");
    return row_of(job, options);
  };
  return run_file_jobs(jobs_of(options), {.task = "hearing pitch", .done = "read", .make = make, .print = print_row},
                       options.json);
}

}  // namespace melisma
