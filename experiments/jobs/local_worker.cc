#include "experiments/jobs/local_worker.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "experiments/jobs/device_lock.h"
#include "experiments/jobs/supervisor.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/stop.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

constexpr double kLookSeconds = 0.2;  // how soon a cancelled job is told

class LocalWorker {
 public:
  LocalWorker(const WorkerOptions& options, EventSink& events)
      : options_(options),
        events_(events),
        queue_(options.workspace),
        device_(DeviceLock::take(worker_device(options.device), queue_.workspace(), options.grace_seconds)) {}

  void run() {
    say(events_, fmt::format("working on {} for '{}'", device_.device(), queue_.workspace().string()));
    while (true) {
      end_if_asked();
      recover();
      if (auto claimed = queue_.claim(device_.device())) {
        run_job(*claimed);
        if (options_.is_once) return;
      } else if (options_.is_once ||
                 (options_.until_empty && left_behind_.empty() && !queue_.has_work_for(device_.device()))) {
        say(events_, fmt::format("no job is left for {}", device_.device()));
        return;
      } else {
        std::this_thread::sleep_for(std::chrono::duration<double>(options_.pause_seconds));
      }
    }
  }

 private:
  static void end_if_asked() {
    if (const int signal = stop_requested(); signal != 0) {
      throw Error::interrupted(signal, "the worker has ended; what it ran is in the queue again");
    }
  }

  // Jobs of workers that were killed; theirs that go on for longer than they may are killed.
  void recover() {
    const auto now = std::chrono::steady_clock::now();
    std::map<JobId, std::chrono::steady_clock::time_point> still;
    for (const auto id : recover_jobs(queue_)) {
      const auto since = left_behind_.contains(id) ? left_behind_.at(id) : now;
      still.emplace(id, since);
      if (now - since > std::chrono::duration<double>(options_.grace_seconds)) kill_group(queue_.find(id).supervisor);
    }
    left_behind_ = std::move(still);
  }

  [[nodiscard]] JobStart start_of(const ClaimedJob& claimed) const {
    const auto& job = claimed.job;
    auto start =
        prepare_start(queue_.files(job.id), job.id, job.starts, options_.program, job.request.words, device_.device());
    start.folder = job.request.folder;
    start.environment["CUDA_VISIBLE_DEVICES"] = visible_gpus(device_.device());
    start.grace_seconds = options_.grace_seconds;
    start.locks = {&claimed.lock, &device_.lock()};
    return start;
  }

  void run_job(const ClaimedJob& claimed) {
    const auto& job = claimed.job;
    Supervisor supervisor(start_of(claimed));
    device_.note_job(supervisor.pid());
    queue_.note_supervisor(job.id, ProcessIdentity::of(supervisor.pid()));
    supervisor.go();
    say(events_, fmt::format("job {} ({}): started, log in '{}'", job.id, job.request.name,
                             queue_.files(job.id).log().string()));
    wait_for(supervisor, job);
    const auto verdict = queue_.end(job, supervisor.end());
    device_.note_job(0);
    const auto took = format_seconds(seconds_now() - job.started);
    events_.receive(
        MessageEvent{verdict.state == JobState::failed ? Severity::error : Severity::info,
                     fmt::format("job {} ({}): {} after {}{}{}", job.id, job.request.name, name_of(verdict.state), took,
                                 verdict.reason.empty() ? "" : ": ", verdict.reason)});
  }

  void wait_for(Supervisor& supervisor, const Job& job) {
    bool is_stopped = false;
    while (!supervisor.wait(kLookSeconds)) {
      if (is_stopped || (stop_requested() == 0 && !is_cancelling(job.id))) continue;
      supervisor.stop();
      is_stopped = true;
    }
  }

  // A queue that cannot be read for once ends no training of days.
  bool is_cancelling(JobId id) {
    try {
      return queue_.is_cancelling(id);
    } catch (const Error& error) {
      if (!has_warned_) warn(events_, error.what());
      has_warned_ = true;
      return false;
    }
  }

  const WorkerOptions& options_;
  EventSink& events_;
  JobQueue queue_;
  DeviceLock device_;
  std::map<JobId, std::chrono::steady_clock::time_point> left_behind_;  // since when they are seen
  bool has_warned_ = false;
};

}  // namespace

std::vector<JobId> recover_jobs(JobQueue& queue) {
  std::vector<JobId> still_alive;
  for (const auto& seen : queue.list({.states = {JobState::running}, .engine = "local"})) {
    if (seen.worker.is_alive()) continue;
    const auto lock = FileLock::try_take(queue.files(seen.id).lock());
    if (!lock) {
      still_alive.push_back(seen.id);
      continue;
    }
    const auto job = queue.find(seen.id);  // as it is while nobody else can take it
    if (job.state != JobState::running || job.worker.is_alive()) continue;
    queue.end(job, read_end(queue.files(job.id), job.starts));
  }
  return still_alive;
}

void work(const WorkerOptions& options, EventSink& events) { LocalWorker(options, events).run(); }

}  // namespace melisma
