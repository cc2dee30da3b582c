// What a command is to make of what: recordings and results paired, and checked before anything is computed.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

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

// Whether there is something at `input`, and it is a folder; Error(data) if there is not.
[[nodiscard]] bool is_folder_of_recordings(const std::filesystem::path& input);

}  // namespace melisma
