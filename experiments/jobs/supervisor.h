// The process that looks after a job: it starts it, hands signals on, and writes down how it ended, whatever becomes of
// whoever wanted it run.
//
//   worker ── fork ── supervisor ── fork, exec ── the job
//
// Supervisor and job are one process group. When the worker is killed, the supervisor gets SIGTERM (the kernel sees to
// it), has the job save and end, and writes that down; when the supervisor is killed, the job gets SIGTERM the same
// way. All of them have the job's lock, so that it is free only when the last one is gone.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "experiments/jobs/file_lock.h"
#include "experiments/jobs/job_files.h"

namespace melisma {

struct JobStart {
  JobFiles files;
  std::int64_t start = 1;                          // which one it is
  std::vector<std::string> words;                  // the program, looked up in PATH, and its arguments
  std::filesystem::path folder;                    // it runs in
  std::map<std::string, std::string> environment;  // besides this process's own
  std::string title;                               // first line of its log: "job 3, start 1, on cpu"
  double grace_seconds = 60;                       // between SIGTERM and SIGKILL
  bool hands_on_stop = true;                       // false: whoever sends SIGTERM sends it to the job, too
  std::vector<const FileLock*> locks;              // that the job keeps
};

// Start number `start` of job `id` as every engine makes it: `program` and the job's own words, or those that go on
// with its run (words_to_start); its folder in the environment; the title says `where`. Forgets the progress of the
// start before. Where it runs, its grace and its locks are the caller's to add.
[[nodiscard]] JobStart prepare_start(const JobFiles& files, JobId id, std::int64_t start,
                                     const std::vector<std::string>& program, const std::vector<std::string>& words,
                                     const std::string& where);

// Runs a job in this process, which must have one thread: waits for it, handing SIGTERM, SIGINT and SIGHUP on to it as
// one SIGTERM, and SIGKILL after the grace; then writes its end (job_files.h). Output and errors of the job are
// appended to its log. Throws Error(device) where log or end cannot be written.
JobEnd supervise(const JobStart& start);

// A supervisor as a child of this process, which must have one thread.
class Supervisor {
 public:
  // Forks. The job is not started before go(). From now on orphans of jobs become children of this process.
  explicit Supervisor(const JobStart& start);
  // Kills the job, unless it was waited for.
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  // The job starts; had this process ended first, it would never.
  void go();
  // Waits at most so long, or until a signal comes; whether supervisor and job have ended.
  bool wait(double seconds);
  // The job is told to save and end.
  void stop() const;
  // After wait() said so: how it ended; is_known is false if the supervisor was killed. What it could not do, write its
  // log for example, is an end with its own exit code.
  [[nodiscard]] JobEnd end() const;

 private:
  void reap();
  JobFiles files_;
  std::int64_t start_;
  double grace_seconds_;
  pid_t pid_ = -1;
  bool has_ended_ = false;
  int own_exit_code_ = 0;
  int go_ = -1, alive_ = -1;  // pipes: to the supervisor, and from it
};

}  // namespace melisma
