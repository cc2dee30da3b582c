#include "tools/actions/convert_jobs.h"

#include <algorithm>
#include <map>

#include "data/audio/audio_file.h"
#include "data/audio/audio_writer.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace convert_jobs_detail {
namespace {
namespace fs = std::filesystem;

bool is_same(const fs::path& left, const fs::path& right) {
  std::error_code absent;
  return fs::equivalent(left, right, absent);
}

// The format a single file is written in: as asked, else by its ending.
const AudioFormat& format_of_file(const ConvertActionOptions& options) {
  if (options.format.empty()) return audio_format_for(options.output);
  const auto& format = audio_format_named(options.format);
  const auto ending = options.output.extension();
  const bool is_another = std::any_of(kAudioFormats.begin(), kAudioFormats.end(), [&](const AudioFormat& row) {
    return row.extension == ending && row.extension != format.extension;
  });
  if (is_another) {
    fail(ErrorKind::usage, "--format {} makes {} files, but the output is '{}'; name it so, or leave --format out",
         format.name, format.extension, options.output.string());
  }
  return format;
}

ConvertJobs job_of_file(const ConvertActionOptions& options) {
  if (fs::is_directory(options.output)) {
    fail(ErrorKind::usage, "'{}' is a folder; name the file to write, such as '{}'", options.output.string(),
         (options.output / options.input.stem()).string() + ".wav");
  }
  if (is_same(options.input, options.output)) {
    fail(ErrorKind::usage, "'{}' is the recording itself; name another output", options.output.string());
  }
  const auto& format = format_of_file(options);
  require_writable(options.output);
  return {.jobs = {{options.input, options.output}}, .format = std::string(format.name), .is_folder = false};
}

bool is_below(const fs::path& path, const fs::path& folder) {
  const auto relative = fs::weakly_canonical(path).lexically_relative(fs::weakly_canonical(folder));
  return !relative.empty() && *relative.begin() != "..";
}

ConvertJobs jobs_of_folder(const ConvertActionOptions& options) {
  const auto& input = options.input;
  const auto& output = options.output;
  if (fs::exists(output) && !fs::is_directory(output)) {
    fail(ErrorKind::usage, "'{}' is a file; the results of a folder go into a folder", output.string());
  }
  if (is_same(input, output)) {
    fail(ErrorKind::usage, "'{}' is the folder of the recordings; name another for the results", output.string());
  }
  const auto& format = audio_format_named(options.format.empty() ? "wav16" : options.format);
  ConvertJobs made{.jobs = {}, .format = std::string(format.name), .is_folder = true};
  std::map<fs::path, int> n_of_target;
  for (const auto& file : find_audio_files(input)) {
    if (is_below(file, output)) continue;
    made.jobs.push_back({file, (output / fs::relative(file, input)).replace_extension(format.extension)});
    ++n_of_target[made.jobs.back().output];
  }
  if (made.jobs.empty()) {
    fail(ErrorKind::data, "'{}' holds no recordings; files with these endings are read: {}", input.string(),
         known_audio_extensions());
  }
  for (auto& job : made.jobs) {
    if (n_of_target[job.output] > 1) job.output.replace_filename(job.input.filename()) += format.extension;
  }
  return made;
}

}  // namespace
}  // namespace convert_jobs_detail

ConvertJobs convert_jobs(const ConvertActionOptions& options) {
  using namespace convert_jobs_detail;
  if (!fs::exists(options.input)) {
    fail(ErrorKind::data, "there is no file or folder '{}'; give a recording, or a folder of them",
         options.input.string());
  }
  return fs::is_directory(options.input) ? jobs_of_folder(options) : job_of_file(options);
}

}  // namespace melisma
