// What a command is to make of what: recordings and results paired, and checked before anything is computed.
#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/audio/audio_writer.h"

namespace melisma {

struct FileJob {
  std::filesystem::path input, output;
};

struct FileJobs {
  std::vector<FileJob> jobs;
  bool is_folder = false;  // a folder of recordings: one that cannot be used does not stop the others
};

// One job for a file; for a folder one a recording, sub-folders mirrored, results with the ending `extension`
// (".wav"). Recordings that differ only in their ending keep it in the result's name; what lies in the output folder
// already is no recording. Throws Error(data) if there is nothing to do, Error(usage) if the output cannot be what is
// meant or would replace a recording, Error(device) if it cannot be written.
[[nodiscard]] FileJobs file_jobs(const std::filesystem::path& input, const std::filesystem::path& output,
                                 const std::string& extension);

// How a command does its jobs and speaks of them.
struct JobSteps {
  using Row = nlohmann::ordered_json;
  std::string_view task, done;  // "applying effects", "processed"
  // Does one job and gives its row of the report; may tell the fraction that is done of it.
  std::function<Row(const FileJob& job, const std::function<void(double)>& progress)> make;
  std::function<void(const Row& row)> print;  // the row of a job that was done, as a line
  int threads = 1;                            // jobs done at once, each by a call of `make` on a thread of its own
};

// Does each job and reports: a line a job as it ends, or with `json` all rows, in the jobs' order, at the end. One
// recording of a folder that cannot be used (Error(data)) is a row of fate "failed", any other error is the command's.
// Exit code 0, or 3 if any failed.
[[nodiscard]] int run_file_jobs(const FileJobs& work, const JobSteps& steps, bool json);

// Whether there is something at `input`, and it is a folder; Error(data) if there is not.
[[nodiscard]] bool is_folder_of_recordings(const std::filesystem::path& input);

// The format results are written in: `format` if one is asked for, else wav16 for those of a folder and by its ending
// for a single one. Throws Error(usage) for an unknown one, or one that is not what the output's ending says.
[[nodiscard]] const AudioFormat& format_of_results(const std::string& format, const std::filesystem::path& output,
                                                   bool is_folder);

}  // namespace melisma
