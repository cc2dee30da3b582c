// The worker of the local engine: takes jobs whose turn has come, one at a time, each in processes of its own.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/jobs/job_queue.h"
#include "tools/base/event.h"

namespace melisma {

struct WorkerOptions {
  std::filesystem::path workspace;
  std::string device = "cpu";        // "cpu", "cuda:0", ...
  std::vector<std::string> program;  // what a job's words follow: the program and its global options
  bool is_once = false;              // ends after one job, or at once if there is none
  bool until_empty = false;          // ends when no job will come up here any more
  double grace_seconds = 60;         // for a job to save and end
  double pause_seconds = 0.5;        // between looks into an empty queue
};

// Works until there is no more to do. Error(device) if the device is held by another worker. On SIGINT or SIGTERM
// (install_stop_handlers) the running job saves and goes back into the queue, then Error(interrupted).
void work(const WorkerOptions& options, EventSink& events);

// Jobs that the queue has as running though their worker is gone: what their supervisors wrote down is entered, the
// others are queued again. Whose processes still live are left alone; their numbers are returned.
std::vector<JobId> recover_jobs(JobQueue& queue);

}  // namespace melisma
