#include "tools/actions/file_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>

#include "data/audio/audio_file.h"
#include "tools/actions/console.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/json_text.h"
#include "tools/base/stop.h"
#include "train/prepare/parallel.h"

namespace melisma {
namespace file_jobs_detail {
namespace {
namespace fs = std::filesystem;

bool is_same(const fs::path& left, const fs::path& right) {
  std::error_code absent;
  return fs::equivalent(left, right, absent);
}

FileJobs job_of_file(const fs::path& input, const fs::path& output, const std::string& extension) {
  if (fs::is_directory(output)) {
    fail(ErrorKind::usage, "'{}' is a folder; name the file to write, such as '{}'", output.string(),
         (output / input.stem()).string() + extension);
  }
  if (is_same(input, output)) {
    fail(ErrorKind::usage, "'{}' is the recording itself; name another output", output.string());
  }
  require_writable(output);
  return {.jobs = {{input, output}}};
}

bool is_below(const fs::path& path, const fs::path& folder) {
  const auto relative = fs::weakly_canonical(path).lexically_relative(fs::weakly_canonical(folder));
  return !relative.empty() && *relative.begin() != "..";
}

FileJobs jobs_of_folder(const fs::path& input, const fs::path& output, const std::string& extension) {
  if (fs::exists(output) && !fs::is_directory(output)) {
    fail(ErrorKind::usage, "'{}' is a file; the results of a folder go into a folder", output.string());
  }
  if (is_same(input, output)) {
    fail(ErrorKind::usage, "'{}' is the folder of the recordings; name another for the results", output.string());
  }
  FileJobs made{.is_folder = true};
  std::map<fs::path, int> n_of_target;
  for (const auto& file : find_audio_files(input)) {
    if (is_below(file, output)) continue;
    made.jobs.push_back({file, (output / fs::relative(file, input)).replace_extension(extension)});
    ++n_of_target[made.jobs.back().output];
  }
  if (made.jobs.empty()) {
    fail(ErrorKind::data, "'{}' holds no recordings; files with these endings are read: {}", input.string(),
         known_audio_extensions());
  }
  for (auto& job : made.jobs) {
    if (n_of_target[job.output] > 1) job.output.replace_filename(job.input.filename()) += extension;
  }
  return made;
}

}  // namespace
}  // namespace file_jobs_detail

bool is_folder_of_recordings(const std::filesystem::path& input) {
  if (!std::filesystem::exists(input)) {
    fail(ErrorKind::data, "there is no file or folder '{}'; give a recording, or a folder of them", input.string());
  }
  return std::filesystem::is_directory(input);
}

FileJobs file_jobs(const std::filesystem::path& input, const std::filesystem::path& output,
                   const std::string& extension) {
  using namespace file_jobs_detail;
  return is_folder_of_recordings(input) ? jobs_of_folder(input, output, extension)
                                        : job_of_file(input, output, extension);
}

namespace file_jobs_detail {
namespace {

// What became of the jobs, told as they end, by whichever thread does them.
class Report {
 public:
  using Row = JobSteps::Row;
  Report(const FileJobs& work, const JobSteps& steps, bool json)
      : work_(work), steps_(steps), json_(json), events_(console_events()), rows_(work.jobs.size()) {}

  void progress(double fraction) {
    const std::lock_guard lock(mutex_);
    tell(static_cast<double>(n_ended_) + fraction);
  }
  void done(std::size_t job, Row row) {
    const std::lock_guard lock(mutex_);
    if (!json_) steps_.print(row);
    end(job, std::move(row));
  }
  void failed(std::size_t job, const Error& error) {
    const std::lock_guard lock(mutex_);
    const auto input = work_.jobs[job].input.string();
    ++n_failed_;
    if (!json_) fmt::print("{}: failed: {}\n", input, error.message());
    end(job, {{"input", input}, {"fate", "failed"}, {"reason", error.message()}});
  }
  // The exit code.
  int close() const {
    if (json_) {
      fmt::print("{}\n", json_text(Row(rows_)));
    } else if (work_.is_folder) {
      const auto n = std::ssize(work_.jobs);
      fmt::print("{} of {} {}, {} failed\n", n - n_failed_, format_amount(static_cast<double>(n), "files"), steps_.done,
                 n_failed_);
    }
    return n_failed_ > 0 ? 3 : 0;
  }

 private:
  void end(std::size_t job, Row row) {
    rows_[job] = std::move(row);
    ++n_ended_;
    if (work_.is_folder) tell(static_cast<double>(n_ended_));
    events_->flush();
  }
  void tell(double n) {
    const auto total = static_cast<double>(work_.jobs.size());
    events_->receive(ProgressEvent{std::string(steps_.task), std::min(n, total), total, "files", {}});
  }

  const FileJobs& work_;
  const JobSteps& steps_;
  bool json_;
  std::unique_ptr<EventHub> events_;
  std::vector<Row> rows_;
  std::int64_t n_ended_ = 0, n_failed_ = 0;
  std::mutex mutex_;
};

}  // namespace
}  // namespace file_jobs_detail

int run_file_jobs(const FileJobs& work, const JobSteps& steps, bool json) {
  file_jobs_detail::Report report(work, steps, json);
  const auto do_job = [&](std::size_t i) {
    const auto& job = work.jobs[i];
    try {
      if (work.is_folder && !job.output.empty()) make_folders(job.output.parent_path(), "name another output");
      report.done(i, steps.make(job, [&](double fraction) { report.progress(fraction); }));
    } catch (const Error& error) {
      if (!work.is_folder || error.kind() != ErrorKind::data) throw;
      report.failed(i, error);
    }
  };
  if (!for_each_parallel(work.jobs.size(), steps.threads, do_job)) {
    throw Error::interrupted(stop_requested(), "stopped before every file was done; those that were are there");
  }
  return report.close();
}

const AudioFormat& format_of_results(const std::string& format, const std::filesystem::path& output, bool is_folder) {
  if (is_folder) return audio_format_named(format.empty() ? "wav16" : format);
  if (format.empty()) return audio_format_for(output);
  const auto& row = audio_format_named(format);
  const auto ending = output.extension();
  const bool is_another = std::any_of(kAudioFormats.begin(), kAudioFormats.end(), [&](const AudioFormat& other) {
    return other.extension == ending && other.extension != row.extension;
  });
  if (is_another) {
    fail(ErrorKind::usage, "--format {} makes {} files, but the output is '{}'; name it so, or leave --format out",
         row.name, row.extension, output.string());
  }
  return row;
}

}  // namespace melisma
