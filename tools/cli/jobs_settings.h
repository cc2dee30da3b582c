// How commands that queue jobs are told how jobs are run.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/jobs/job_engine.h"
#include "tools/cli/command.h"

namespace melisma {

struct JobsSettings {
  std::string config;  // TOML file; empty = <workspace>/jobs.toml if it is there
  std::vector<std::string> set;
};

// --config and --set.
void add_jobs_settings(CLI::App& app, JobsSettings& settings);

// Error(config) with every problem.
[[nodiscard]] JobsConfig read_jobs_config(const std::filesystem::path& workspace, const JobsSettings& settings);

// What the engines are told.
[[nodiscard]] EngineOptions engine_options(const GlobalOptions& global, const JobsSettings& settings = {});

// What the words of a job follow: this program, and the workspace by its full path. A --workspace among the job's own
// words wins.
[[nodiscard]] std::vector<std::string> program_for_jobs(const GlobalOptions& global);

}  // namespace melisma
