// The jobs of a workspace in workspace.db: what was asked for, and what has become of it. Several processes use it at
// once; every change is one transaction.
#pragma once
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/jobs/file_lock.h"
#include "experiments/jobs/job.h"
#include "experiments/jobs/job_files.h"
#include "tools/database/database.h"

namespace melisma {

// Which jobs to list; empty = all.
struct JobFilter {
  std::vector<JobState> states;
  std::string group, engine;
};

// A job whose turn has come, and the lock on it: nobody else runs it while any process has the lock.
struct ClaimedJob {
  Job job;
  FileLock lock;
};

class JobQueue {
 public:
  // Opens the queue of a workspace, made if there is none. Throws as Database.
  explicit JobQueue(const std::filesystem::path& workspace);
  // Whether there is a workspace.db to look into.
  [[nodiscard]] static bool exists(const std::filesystem::path& workspace);

  // All of them or none; their numbers are in the order of the requests. An element of `after` that is negative means
  // an earlier request of the same call: -1 the first one, -2 the second. Error(usage) if a job to run after is unknown
  // or has come to nothing.
  std::vector<JobId> submit(std::string_view engine, std::span<const JobRequest> requests);
  // Error(usage) if there is none of that number.
  [[nodiscard]] Job find(JobId id) const;
  // By number.
  [[nodiscard]] std::vector<Job> list(const JobFilter& filter = {}) const;

  // Engines that have jobs queued or running.
  [[nodiscard]] std::vector<std::string> engines_at_work() const;

  // The queued job of the local engine whose turn has come on `device`, from now on running there.
  [[nodiscard]] std::optional<ClaimedJob> claim(const std::string& device);
  // Whether a queued job of the local engine will come up on `device`: now, after a delay, or when jobs that run now,
  // or will come up here before it, are done.
  [[nodiscard]] bool has_work_for(const std::string& device) const;
  // The process that looks after a running job; the only word of it, should everything else be killed.
  void note_supervisor(JobId id, const ProcessIdentity& supervisor);
  // Ends a start of a running job: what judge() says of it, and what follows for the jobs after it.
  JobVerdict end(const Job& job, const JobEnd& end);

  // A queued job is cancelled at once; a running one is to be stopped by whoever runs it. Error(usage) if it has ended.
  void cancel(JobId id);
  [[nodiscard]] bool is_cancelling(JobId id) const;
  // A job that failed, was cancelled or skipped is queued again, and so are those that were skipped because of it.
  // Error(usage) otherwise, or while a job that it is to run after has come to nothing.
  void retry(JobId id);

  // Of the slurm engine: under which number the cluster has a job for its next start, that it runs there, and what it
  // waits for.
  void note_cluster_id(JobId id, const std::string& cluster_id);
  void note_running(JobId id, const std::string& where);
  void note_waiting(JobId id, const std::string& reason);

  [[nodiscard]] const std::filesystem::path& workspace() const { return workspace_; }
  [[nodiscard]] JobFiles files(JobId id) const { return {workspace_, id}; }

 private:
  JobId insert(std::string_view engine, const JobRequest& request, std::span<const JobId> earlier);
  void skip_what_cannot_run();
  std::filesystem::path workspace_;  // absolute
  Database database_;
};

// Seconds since 1970.
[[nodiscard]] double seconds_now();

}  // namespace melisma
