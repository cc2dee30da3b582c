// A job: a command line of this program that runs by itself, later, and what has become of it.
#pragma once
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace melisma {

using JobId = std::int64_t;  // 1, 2, 3, ... in a workspace

enum class JobState {
  queued,     // its turn has not come
  running,    // a worker runs it now
  done,       // ended with exit code 0
  failed,     // ended otherwise, and is not tried again
  cancelled,  // somebody did not want it any more
  skipped,    // a job that it was to run after came to nothing
};

struct JobStateRow {
  JobState state;
  std::string_view name;
};
inline constexpr std::array kJobStates{
    JobStateRow{JobState::queued, "queued"},       JobStateRow{JobState::running, "running"},
    JobStateRow{JobState::done, "done"},           JobStateRow{JobState::failed, "failed"},
    JobStateRow{JobState::cancelled, "cancelled"}, JobStateRow{JobState::skipped, "skipped"},
};
[[nodiscard]] std::string_view name_of(JobState state);
// Error(usage) with did-you-mean.
[[nodiscard]] JobState job_state_named(std::string_view name);
// Whether nothing more happens to a job by itself.
[[nodiscard]] constexpr bool is_final(JobState state) {
  return state != JobState::queued && state != JobState::running;
}

// A process that cannot be mistaken for a later one of the same number.
struct ProcessIdentity {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  // of the kernel's clock since boot
  static ProcessIdentity of(pid_t pid);
  // Whether it runs: a process that has ended but not been waited for does not.
  [[nodiscard]] bool is_alive() const;
  bool operator==(const ProcessIdentity&) const = default;
};

// What somebody wants done.
struct JobRequest {
  std::vector<std::string> words;  // of the command line after `melisma`
  std::filesystem::path folder;    // where it runs; absolute
  std::string name;                // for people
  std::string group;               // of the sweep it belongs to; empty = none
  std::string device;              // "cpu", "cuda" (any), "cuda:1"; empty = whatever is free
  std::int64_t priority = 0;       // more comes first; equals in the order they came
  std::vector<JobId> after;        // run only once these are done
  std::int64_t retries = 0;        // further tries after failures that may pass
  double backoff_seconds = 30;     // before the first of them; doubled each time, an hour at most
};

struct Job {
  JobId id = 0;
  std::string engine;  // of kJobEngines
  JobRequest request;
  JobState state = JobState::queued;
  std::string reason;         // why it is not done, in words
  std::int64_t starts = 0;    // how often it was started
  std::int64_t failures = 0;  // how often it ended by itself with another exit code than 0
  std::optional<int> exit_code;
  bool is_cancelling = false;
  double submitted = 0, not_before = 0, started = 0, ended = 0;  // seconds since 1970; 0 = not yet
  std::string device;                                            // where it runs or ran
  ProcessIdentity worker, supervisor;                            // of the local engine, while it runs
  std::string cluster_id;                                        // of the slurm engine: "123", "123_4"
};

// How a start of a job ended.
struct JobEnd {
  bool is_known = false;     // false: its processes are gone and left no word
  int exit_code = 0;         // 128 + signal if one ended it
  bool was_stopped = false;  // it was told to stop first
};

// What follows from an end.
struct JobVerdict {
  JobState state = JobState::queued;
  std::string reason;
  bool is_failure = false;   // counts as one
  double delay_seconds = 0;  // until it may start again
};

// done, failed, cancelled, or queued to be tried again: after failures that may pass (not a wrong command line, data or
// non-finite numbers: exit codes 2, 3 and 4), and always after it was stopped or lost, from where it had got to.
[[nodiscard]] JobVerdict judge(const Job& job, const JobEnd& end);

}  // namespace melisma
