// How a training that is a job says which run it trains, so that the job can be taken up again from there.
#pragma once
#include <filesystem>

namespace melisma {

// The environment variable with the folder of the job that a process runs as.
inline constexpr const char* kJobFolderVariable = "MELISMA_JOB_FOLDER";

// The folder of the job that this process runs as; empty if it runs as none.
[[nodiscard]] std::filesystem::path own_job_folder();
// Notes the run in the job's folder; nothing happens outside a job. Throws Error(device).
void note_run_of_job(const std::filesystem::path& run_folder);
// The run noted in a job's folder; empty if none is.
[[nodiscard]] std::filesystem::path run_noted_in(const std::filesystem::path& job_folder);

}  // namespace melisma
