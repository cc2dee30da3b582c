// The folder of a job, <workspace>/jobs/<id>/: its lock, its log, how its last start ended, which run it trains.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/jobs/job.h"

namespace melisma {

struct JobFiles {
  std::filesystem::path folder;
  JobFiles(const std::filesystem::path& workspace, JobId id) : folder(workspace / "jobs" / std::to_string(id)) {}
  explicit JobFiles(std::filesystem::path folder_of_job) : folder(std::move(folder_of_job)) {}
  [[nodiscard]] std::filesystem::path lock() const { return folder / "lock"; }
  [[nodiscard]] std::filesystem::path log() const { return folder / "log.txt"; }
  [[nodiscard]] std::filesystem::path end() const { return folder / "end.json"; }
  [[nodiscard]] std::filesystem::path progress() const { return folder / "progress.json"; }
};

// How start number `start` ended, as its supervisor wrote it down; is_known is false if it did not.
[[nodiscard]] JobEnd read_end(const JobFiles& files, std::int64_t start);
void write_end(const JobFiles& files, std::int64_t start, const JobEnd& end);

// The run that the job trains or trained (experiments/runs/job_note.h); nothing if there is none.
[[nodiscard]] std::optional<std::filesystem::path> run_of(const JobFiles& files);

// The command line with which a job is started: its own, or, for a training whose run is there already, the one that
// goes on with that run: --resume RUN in place of --config and --from, which a resumed run has of its own.
[[nodiscard]] std::vector<std::string> words_to_start(const std::vector<std::string>& words,
                                                      const std::optional<std::filesystem::path>& run);

// The first word of a command line that is neither a global option nor its value: the command. words.size() if there is
// none.
[[nodiscard]] std::size_t command_place(const std::vector<std::string>& words);

}  // namespace melisma
