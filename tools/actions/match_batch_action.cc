#include "tools/actions/match_batch_action.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "data/audio/audio_file.h"
#include "data/signal/thread_limit.h"
#include "infer/match/finish.h"
#include "infer/match/match_output.h"
#include "tools/actions/file_jobs.h"
#include "tools/actions/match_report.h"
#include "tools/actions/match_stems.h"
#include "tools/base/error.h"
#include "tools/base/memory_budget.h"
#include "tools/base/stop.h"
#include "train/prepare/parallel.h"

namespace melisma {
namespace match_batch_action_detail {
namespace {
namespace fs = std::filesystem;
using Row = nlohmann::ordered_json;

// Two channels of doubles, the limiter's envelope and gain, and what stands beside them for a while.
constexpr std::int64_t kBytesAFrame = 64;

std::int64_t n_frames_of(const fs::path& file, const MatchSettings& settings) {
  try {
    const auto info = probe_audio(file);
    const double rate = static_cast<double>(info.sample_rate_hz), longest = settings.matching.max_seconds * rate;
    const double frames = info.n_frames ? static_cast<double>(*info.n_frames) : longest;
    const double resampled = settings.is_exact() ? static_cast<double>(settings.matching.sample_rate_hz) / rate : 1;
    return static_cast<std::int64_t>(std::min(frames, longest) * resampled);
  } catch (const Error&) {
    return 0;  // reading it will say what is wrong
  }
}

// What a job takes at most: a song, or the sum of a song's stems and the longest of them.
std::int64_t bytes_for(const FileJob& job, const MatchBatchOptions& options) {
  if (!options.is_stems) return kBytesAFrame * n_frames_of(job.input, options.settings);
  std::int64_t longest = 0;
  for (const auto& file : find_audio_files(job.input)) {
    longest = std::max(longest, n_frames_of(file, options.settings));
  }
  return 2 * kBytesAFrame * longest;
}

// A job a folder of stems, with the names of all stems.
FileJobs stem_jobs(const MatchBatchOptions& options, std::string_view extension, std::set<std::string>& names) {
  if (fs::exists(options.output) && !fs::is_directory(options.output)) {
    fail(ErrorKind::usage, "'{}' is a file; the results of a folder go into a folder", options.output.string());
  }
  std::error_code absent;
  FileJobs work{.is_folder = true};
  for (const auto& entry : fs::directory_iterator(options.folder)) {
    if (!entry.is_directory() || fs::equivalent(entry.path(), options.output, absent)) continue;
    if (entry.path().filename().string().starts_with(".")) continue;
    for (const auto& file : find_audio_files(entry.path())) names.insert(file.stem().string());
    work.jobs.push_back({entry.path(), options.output / (entry.path().filename().string() + std::string(extension))});
  }
  if (work.jobs.empty()) {
    fail(ErrorKind::data, "'{}' holds no folders; with --stems each folder in it is a song, its recordings are stems",
         options.folder.string());
  }
  std::ranges::sort(work.jobs, {}, &FileJob::input);
  return work;
}

Row loudness_facts(const SongLoudness& loudness) {
  const auto finite = [](double value) { return std::isfinite(value) ? Row(value) : Row(nullptr); };
  return {{"lufs", finite(loudness.integrated_lufs)}, {"true_peak_db", finite(loudness.true_peak_db)}};
}

class Batch {
 public:
  Batch(const MatchBatchOptions& options, const AudioFormat& format, std::vector<MatchStep> steps,
        const std::set<std::string>& stems, int n_jobs)
      : options_(options),
        format_(format),
        plans_(options, steps, stems),
        steps_(std::move(steps)),
        budget_(options.memory_mb > 0 ? options.memory_mb << 20 : half_of_memory()),
        threads_each_(std::max(1, at::get_num_threads() / n_jobs)) {}

  Row make(const FileJob& job) {
    const auto started = std::chrono::steady_clock::now();
    const MemoryBudget::Share memory(budget_, bytes_for(job, options_));
    const ThreadLimit limit(threads_each_);
    if (const int stop = stop_requested()) throw Error::interrupted(stop, "matching stopped");
    Row row{{"input", job.input.string()}, {"output", job.output.string()}, {"fate", "matched"}};
    if (options_.is_stems) {
      make_song_of_stems(job, row);
    } else {
      make_song(job, row);
    }
    row["elapsed_seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    return row;
  }

 private:
  void make_song(const FileJob& job, Row& row) const {
    auto input = read_for_matching(job.input, MatchRole::target, options_.settings);
    const auto remarks = input.remarks;
    const auto made = with_context("matching '" + job.input.string() + "'",
                                   [&] { return matched(std::move(input.signal), steps_, options_.settings, true); });
    write(job, made.song, MatchFinish::limited, row);
    if (made.improved) {
      row["before"] = loudness_facts(made.improved->before);
      row["after"] = loudness_facts(made.improved->after);
      row["most_limited_db"] = made.improved->most_limited_db;
    }
    row["remarks"] = Row::array();
    for (const auto* remark : remarks) row["remarks"].push_back(remark->text);
    if (const auto warning = match_warning(made); !warning.empty()) row["remarks"].push_back(warning);
  }

  void make_song_of_stems(const FileJob& job, Row& row) const {
    auto mixed = mixed_stems(job.input, plans_, options_);
    row["stems"] = std::move(mixed.rows);
    MatchedSong song{.filtered = std::move(mixed.sum)};
    const auto record = finish_song(song, std::nullopt, options_.settings.improved, options_.has_master_limiter);
    write(job, song, options_.has_master_limiter ? MatchFinish::limited : MatchFinish::unlimited, row);
    if (options_.has_master_limiter) {
      row["after"] = loudness_facts(record.after);
      row["most_limited_db"] = record.most_limited_db;
    }
    row["remarks"] = Row::array();
  }

  void write(const FileJob& job, const MatchedSong& song, MatchFinish finish, Row& row) const {
    const double peak = write_matched(job.output, song, finish, format_);
    row["seconds"] = static_cast<double>(song.filtered.n_frames()) / static_cast<double>(song.filtered.sample_rate_hz);
    row["peak"] = peak;
    row["is_clipped"] = peak > 1 && format_.name != "wav32f";
  }

  const MatchBatchOptions& options_;
  const AudioFormat& format_;
  StemPlans plans_;
  std::vector<MatchStep> steps_;
  MemoryBudget budget_;
  int threads_each_;
};

void print_row(const Row& row) {
  std::string more;
  if (row.contains("stems")) {
    std::map<std::string, int> n_of_fate;
    for (const auto& stem : row["stems"]) ++n_of_fate[stem["fate"].get<std::string>()];
    for (const auto& [fate, n] : n_of_fate) more += fmt::format(", {} {}", n, fate);
  }
  const auto loudness = [&](const char* when) {
    return row.contains(when) && !row[when]["lufs"].is_null() ? fmt::format("{:.1f}", row[when]["lufs"].get<double>())
                                                              : std::string("?");
  };
  if (row.contains("before")) more += ", " + loudness("before") + " ->";
  if (row.contains("after")) more += fmt::format("{} {} LUFS", row.contains("before") ? "" : ",", loudness("after"));
  if (row["is_clipped"].get<bool>()) more += "; the format cut what was past full scale";
  for (const auto& remark : row["remarks"]) more += "; " + remark.get<std::string>();
  fmt::print("{}: {:.2f} s in {:.2f} s{}\n", row["output"].get<std::string>(), row["seconds"].get<double>(),
             row["elapsed_seconds"].get<double>(), more);
}

void require_clear(const MatchBatchOptions& options) {
  require_fitting(options.settings.matching);
  if (!is_folder_of_recordings(options.folder)) {
    fail(ErrorKind::usage, "'{}' is a file; melisma match changes one recording", options.folder.string());
  }
  const bool has_reference = !options.references.empty() || !options.presets.empty();
  if (!has_reference && (!options.is_stems || options.stem_references.empty())) {
    fail(ErrorKind::usage, "no sound is named; give --reference, --preset or, with --stems, --stem name=file");
  }
  const bool speaks_of_stems =
      !options.stem_references.empty() || !options.gains.empty() || !options.mutes.empty() || !options.mixes.empty();
  if (speaks_of_stems && !options.is_stems) {
    fail(ErrorKind::usage, "--stem, --gain, --mute and --stem-mix are of songs in stems; give --stems");
  }
}

}  // namespace
}  // namespace match_batch_action_detail

int match_batch(const MatchBatchOptions& options) {
  using namespace match_batch_action_detail;
  install_stop_handlers();
  require_clear(options);
  const auto& format = format_of_results(options.format, options.output, true);
  std::set<std::string> stems;
  const auto work = options.is_stems ? stem_jobs(options, format.extension, stems)
                                     : file_jobs(options.folder, options.output, std::string(format.extension));
  std::vector<const MatchRemark*> remarks;
  auto steps = steps_of({options.references, options.presets, options.presets_as}, options.settings, remarks);
  const int n_jobs = options.jobs > 0 ? options.jobs : n_usable_processors();
  Batch batch(options, format, std::move(steps), stems, n_jobs);
  return run_file_jobs(work,
                       {.task = "matching",
                        .done = "matched",
                        .make = [&](const FileJob& job, const auto&) { return batch.make(job); },
                        .print = print_row,
                        .threads = n_jobs},
                       options.json);
}

}  // namespace melisma
