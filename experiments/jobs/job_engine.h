// The seam between who wants jobs done and what does them: submit, watch, cancel, retry.
//
//   JobQueue queue(workspace);
//   auto engine = make_job_engine("local", queue, {});
//   auto ids = engine->submit({{.words = {"train", "rvc", "--dataset", "alice"}, .folder = fs::current_path()}});
#pragma once
#include <array>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "experiments/jobs/job_queue.h"
#include "experiments/jobs/jobs_config.h"
#include "tools/base/table.h"

namespace melisma {

class JobEngine {
 public:
  virtual ~JobEngine() = default;
  // All of the requests or none; see JobQueue::submit.
  virtual std::vector<JobId> submit(std::span<const JobRequest> requests) = 0;
  // Brings the queue up to date with what has happened to the engine's jobs.
  virtual void watch() = 0;
  // See JobQueue::cancel and JobQueue::retry.
  virtual void cancel(JobId id) = 0;
  virtual void retry(JobId id) = 0;
};

// What an engine is told.
struct EngineOptions {
  JobsConfig config;
  std::vector<std::string> program;  // what a job's words follow, where the engine itself starts jobs
};

struct JobEngineRow {
  std::string_view name, summary;
  std::unique_ptr<JobEngine> (*make)(JobQueue& queue, const EngineOptions& options);  // the queue must outlive it
};

[[nodiscard]] std::unique_ptr<JobEngine> make_local_engine(JobQueue& queue, const EngineOptions& options);
[[nodiscard]] std::unique_ptr<JobEngine> make_slurm_engine(JobQueue& queue, const EngineOptions& options);

inline constexpr std::array kJobEngines{
    JobEngineRow{"local", "workers on this machine (melisma jobs worker), one a device", make_local_engine},
    JobEngineRow{"slurm", "a cluster: sbatch, squeue, scancel; a folder that its nodes share", make_slurm_engine},
};
// The engine of that row. Throws Error(usage) with did-you-mean.
[[nodiscard]] inline std::unique_ptr<JobEngine> make_job_engine(std::string_view name, JobQueue& queue,
                                                                const EngineOptions& options) {
  return find_row(kJobEngines, name, "job engine").make(queue, options);
}
static_assert(kJobEngines.size() == kJobEngineNames.size() && kJobEngines[0].name == kJobEngineNames[0] &&
              kJobEngines[1].name == kJobEngineNames[1]);

}  // namespace melisma
