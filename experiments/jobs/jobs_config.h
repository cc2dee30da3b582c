// How jobs are run: <workspace>/jobs.toml, or the file that --config names.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tools/config/fields.h"

namespace melisma {

inline constexpr std::array<std::string_view, 2> kJobEngineNames{"local", "slurm"};  // those of kJobEngines

// What sbatch is told of every job.
struct SlurmConfig {
  std::string partition, account, gres, time, memory;
  std::int64_t cpus = 0;
  std::vector<std::string> options;
  static constexpr auto fields() {
    using C = SlurmConfig;
    return std::tuple{
        field("partition", &C::partition, "where jobs go; empty = where the cluster says"),
        field("account", &C::account, "who pays; empty = as the cluster says"),
        field("gres", &C::gres,
              "what else a job needs, such as \"gpu:1\"; not for jobs on cpu, and gpu:1 for those on cuda if empty"),
        field("time", &C::time,
              "limit as sbatch takes it, such as \"8:00:00\"; a training that reaches it saves and is queued again"),
        field("memory", &C::memory, "of a job, such as \"16G\""),
        field("cpus", &C::cpus, "processors of a job; 0 = as the cluster says").range(0, 4096),
        field("options", &C::options, "more options of sbatch, each \"--name=value\""),
    };
  }
};

struct JobsConfig {
  std::string engine = "local";
  std::int64_t retries = 1;
  Duration backoff{30, Duration::Unit::seconds};
  Duration grace{60, Duration::Unit::seconds};
  SlurmConfig slurm;
  static constexpr auto fields() {
    using C = JobsConfig;
    return std::tuple{
        field("engine", &C::engine, "what runs them").choices(kJobEngineNames),
        field("retries", &C::retries,
              "further tries after failures that may pass: not after exit codes 2 (usage), 3 (data) and 4 (diverged)")
            .range(0, 100),
        field("backoff", &C::backoff, "wait before the first further try; doubled each time, an hour at most"),
        field("grace", &C::grace, "what a job gets to save and end in when it is stopped, before it is killed"),
        field("slurm", &C::slurm, "the slurm engine"),
    };
  }
};

}  // namespace melisma
