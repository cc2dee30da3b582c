// A job as Slurm gets it: a script with its options, and what the script runs on whatever node it lands on.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "experiments/jobs/job_files.h"
#include "experiments/jobs/jobs_config.h"

namespace melisma {

// The options of sbatch for one job, each "--name=value": from the configuration, and from what the job asks for.
[[nodiscard]] std::vector<std::string> sbatch_options(const Job& job, const SlurmConfig& config);

// Text of a script that runs the job of each folder: the only one, or, as a job array, that of its index.
[[nodiscard]] std::string slurm_script(std::span<const JobFiles> jobs, std::span<const std::string> options,
                                       std::span<const std::string> program, const std::string& output);

// Writes down, in the job's folder, what its next start is to do.
void write_start(const JobFiles& files, const Job& job, std::int64_t start, std::span<const std::string> program,
                 double grace_seconds);

// What the script runs, `melisma jobs run FOLDER`: the start that is written down, under supervision, unless it has
// come to its end already. Slurm sends its signals to every process of a job, so none is handed on. Returns the exit
// code.
int run_start(const JobFiles& files);

}  // namespace melisma
