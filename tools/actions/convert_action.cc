#include "tools/actions/convert_action.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "data/audio/audio_writer.h"
#include "infer/convert/convert.h"
#include "tools/actions/console.h"
#include "tools/actions/convert_jobs.h"
#include "tools/actions/model_source.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/stop.h"
#include "tools/base/table.h"

namespace melisma {
namespace {

// The row of a speaker given by name or number.
std::int64_t speaker_row(const Voice& voice, const std::string& speaker) {
  if (speaker.empty()) return 0;
  const auto& names = voice.speakers();
  const auto named = std::find(names.begin(), names.end(), speaker);
  if (named != names.end()) return named - names.begin();
  std::int64_t row = -1;
  const auto [end, code] = std::from_chars(speaker.data(), speaker.data() + speaker.size(), row);
  const bool is_number = code == std::errc{} && end == speaker.data() + speaker.size();
  if (is_number && row >= 0 && row < voice.n_speakers()) return row;
  if (is_number || names.empty()) {
    fail(ErrorKind::usage, "there is no speaker '{}'; the voice's speakers are numbered 0 to {}{}", speaker,
         voice.n_speakers() - 1, names.empty() ? "" : fmt::format(": {}", fmt::join(names, ", ")));
  }
  throw Error(ErrorKind::usage, unknown_name_message("speaker", speaker, names));
}

nlohmann::ordered_json row_of(const ConvertJob& job, const Conversion& done) {
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

ConvertOptions options_for(const Voice& voice, const ConvertActionOptions& options, const std::string& format) {
  ConvertOptions how{.pitch_semitones = options.pitch_semitones,
                     .speaker = speaker_row(voice, options.speaker),
                     .sample_rate_hz = options.sample_rate_hz > 0 ? options.sample_rate_hz : voice.sample_rate_hz(),
                     .format = format,
                     .high_pass_hz = options.high_pass_hz,
                     .retrieval = {.rate = options.index_rate, .protect = options.protect},
                     .synthesis = {.noise_seed = options.noise_seed,
                                   .noise_scale = options.noise_scale,
                                   .chunk_frames = options.chunk_seconds * 100}};
  require_encodable(audio_format_named(format), how.sample_rate_hz, 1);
  if (!options.index.empty()) {
    auto index = std::make_shared<const FeatureIndex>(FeatureIndex::load(options.index));
    if (const auto width = content_width(voice.content()); index->width() != width) {
      fail(ErrorKind::data,
           "the index '{}' holds features of {} columns, the voice takes {}; use the voice's own index",
           options.index.string(), index->width(), width);
    }
    how.retrieval.index = std::move(index);
  }
  return how;
}

// Converts each recording in turn; the rows of the report. One bad recording of a folder does not stop the others, a
// lone file's error is the command's.
nlohmann::ordered_json convert_each(const Voice& voice, const ConvertJobs& work, const ConvertOptions& how, bool json) {
  const auto events = console_events();
  auto report = nlohmann::ordered_json::array();
  for (const auto& job : work.jobs) {
    const auto progress = [&](double fraction) {
      events->receive(ProgressEvent{"converting",
                                    static_cast<double>(report.size()) + fraction,
                                    static_cast<double>(work.jobs.size()),
                                    "files",
                                    {}});
    };
    try {
      if (work.is_folder) make_folders(job.output.parent_path(), "name another output");
      report.push_back(row_of(job, convert_file(voice, job.input, job.output, how, progress)));
    } catch (const Error& error) {
      if (!work.is_folder || error.kind() != ErrorKind::data) throw;
      report.push_back({{"input", job.input.string()}, {"fate", "failed"}, {"reason", error.message()}});
    }
    events->flush();
    if (!json) print_row(report.back());
  }
  return report;
}

}  // namespace

int convert(const ConvertActionOptions& options) {
  install_stop_handlers();
  const auto work = convert_jobs(options);
  const auto file = load_model(options.workspace, options.model);
  const auto voice = with_context(fmt::format("loading '{}'", options.model), [&] { return Voice::load(file); });
  const auto report = convert_each(voice, work, options_for(voice, options, work.format), options.json);
  const auto n_failed =
      std::count_if(report.begin(), report.end(), [](const auto& row) { return row["fate"] == "failed"; });
  if (options.json) {
    fmt::print("{}\n", report.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else if (work.is_folder) {
    fmt::print("{} of {} converted, {} failed\n", std::ssize(work.jobs) - n_failed,
               format_amount(static_cast<double>(work.jobs.size()), "files"), n_failed);
  }
  return n_failed > 0 ? 3 : 0;
}

}  // namespace melisma
