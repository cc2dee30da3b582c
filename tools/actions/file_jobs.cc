#include "tools/actions/file_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "data/audio/audio_file.h"
#include "tools/actions/console.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"

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

int run_file_jobs(const FileJobs& work, const JobSteps& steps, bool json) {
  using Row = JobSteps::Row;
  const auto events = console_events();
  const auto n_jobs = static_cast<double>(work.jobs.size());
  const std::string task(steps.task);
  auto report = Row::array();
  std::int64_t n_failed = 0;
  for (const auto& job : work.jobs) {
    const auto progress = [&](double fraction) {
      events->receive(ProgressEvent{task, static_cast<double>(report.size()) + fraction, n_jobs, "files", {}});
    };
    try {
      if (work.is_folder && !job.output.empty()) make_folders(job.output.parent_path(), "name another output");
      report.push_back(steps.make(job, progress));
      if (!json) steps.print(report.back());
    } catch (const Error& error) {
      if (!work.is_folder || error.kind() != ErrorKind::data) throw;
      report.push_back({{"input", job.input.string()}, {"fate", "failed"}, {"reason", error.message()}});
      ++n_failed;
      if (!json) fmt::print("{}: failed: {}\n", job.input.string(), error.message());
    }
    if (work.is_folder) events->receive(ProgressEvent{task, static_cast<double>(report.size()), n_jobs, "files", {}});
    events->flush();
  }
  if (json) {
    fmt::print("{}\n", report.dump(2, ' ', false, Row::error_handler_t::replace));
  } else if (work.is_folder) {
    fmt::print("{} of {} {}, {} failed\n", std::ssize(work.jobs) - n_failed, format_amount(n_jobs, "files"), steps.done,
               n_failed);
  }
  return n_failed > 0 ? 3 : 0;
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
