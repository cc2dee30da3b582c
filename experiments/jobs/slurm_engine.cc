// Jobs on a cluster: Slurm has them, the queue keeps book. What a job has come to is read from its folder, where the
// node that ran it wrote it down; squeue says which are still there, and scontrol or sacct why one is gone that wrote
// nothing.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "experiments/jobs/job_engine.h"
#include "experiments/jobs/program_output.h"
#include "experiments/jobs/slurm_job.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

// A job that the cluster still knows of.
struct InCluster {
  std::string state, node, reason;
};

std::string slurm_output(const std::vector<std::string>& words) {
  const auto output = output_of_program(words);
  if (output.exit_code != 0) {
    auto said = output.err.empty() ? output.out : output.err;
    std::ranges::replace(said, '\n', ' ');
    fail(ErrorKind::device, "{} refuses (exit code {}): {}", words.front(), output.exit_code, said);
  }
  return output.out;
}

std::string first_word(const std::string& text) {
  std::istringstream words(text);
  std::string word;
  words >> word;
  return word;
}

// Those of this user that are not over, by job and index: "12", "13_0".
std::map<std::string, InCluster> jobs_in_cluster() {
  std::map<std::string, InCluster> jobs;
  std::istringstream lines(slurm_output({"squeue", "--me", "--noheader", "--array", "--format=%i|%T|%N|%r"}));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream cells(line);
    std::string id;
    InCluster job;
    std::getline(cells, id, '|');
    std::getline(cells, job.state, '|');
    std::getline(cells, job.node, '|');
    std::getline(cells, job.reason, '|');
    jobs.emplace(first_word(id), job);
  }
  return jobs;
}

// "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", ...; empty where neither the controller nor the accounts remember it.
std::string last_state(const std::string& cluster_id) {
  const auto shown = output_of_program({"scontrol", "show", "job", "--oneliner", cluster_id}).out;
  constexpr std::string_view kKey = "JobState=";
  if (const auto at = shown.find(kKey); at != std::string::npos) return first_word(shown.substr(at + kKey.size()));
  return first_word(
      output_of_program({"sacct", "--noheader", "--allocations", "--format=State", "--jobs", cluster_id}).out);
}

class SlurmEngine final : public JobEngine {
 public:
  SlurmEngine(JobQueue& queue, const EngineOptions& options) : queue_(queue), options_(options) {}

  std::vector<JobId> submit(std::span<const JobRequest> requests) override {
    const bool is_independent =
        std::ranges::all_of(requests, [](const auto& request) { return request.after.empty(); });
    if (!is_independent) watch();  // the cluster soon forgets those that are done
    for (const auto& request : requests) check_needs(request);
    const auto ids = queue_.submit("slurm", requests);
    try {
      for (const auto id : ids) write_job(queue_.find(id));
      if (is_independent && ids.size() > 1) {
        hand_over_together(ids);
      } else {
        for (const auto id : ids) hand_over(queue_.find(id), 0);
      }
    } catch (const Error&) {
      for (const auto id : ids) {
        const auto job = queue_.find(id);
        if (job.state == JobState::queued && job.cluster_id.empty()) queue_.cancel(id);
      }
      throw;
    }
    return ids;
  }

  void watch() override {
    const auto open = queue_.list({.states = {JobState::queued, JobState::running}, .engine = "slurm"});
    if (open.empty()) return;
    const auto there = jobs_in_cluster();
    for (const auto& job : open) {
      const auto found = there.find(job.cluster_id);
      if (found == there.end()) {
        settle(job.id);
      } else if (found->second.state != "PENDING") {
        queue_.note_running(job.id, found->second.node);
      } else if (job.state == JobState::queued) {
        queue_.note_waiting(job.id, "in the cluster: " + found->second.reason);
      }
    }
  }

  void cancel(JobId id) override {
    watch();
    const auto job = queue_.find(id);
    queue_.cancel(id);
    if (!job.cluster_id.empty()) (void)slurm_output({"scancel", job.cluster_id});
  }

  void retry(JobId id) override {
    queue_.retry(id);
    watch();
  }

 private:
  void check_needs(const JobRequest& request) const {
    for (const auto id : request.after) {
      if (id > 0 && queue_.find(id).engine != "slurm") {
        fail(ErrorKind::usage, "job {} is not of the slurm engine, so no job of the cluster can wait for it", id);
      }
    }
  }

  [[nodiscard]] fs::path script_of(JobId id) const { return queue_.files(id).folder / "slurm.sh"; }

  // What the next start is to do. The script stays as it was for the first one.
  void write_job(const Job& job) const {
    const auto files = queue_.files(job.id);
    write_start(files, job, job.starts + 1, options_.program, options_.config.grace.amount);
    if (fs::exists(script_of(job.id))) return;
    write_file_atomically(script_of(job.id), slurm_script({{files}}, sbatch_options(job, options_.config.slurm),
                                                          options_.program, (files.folder / "slurm.out").string()));
  }

  // A job array: one message to the cluster, and one line of its queue.
  void hand_over_together(const std::vector<JobId>& ids) {
    std::vector<JobFiles> jobs;
    for (const auto id : ids) jobs.push_back(queue_.files(id));
    const auto script = queue_.workspace() / "jobs" / fmt::format("array-{}.sh", ids.front());
    const auto output = (queue_.workspace() / "jobs" / fmt::format("array-{}-%a.out", ids.front())).string();
    write_file_atomically(script, slurm_script(jobs, sbatch_options(queue_.find(ids.front()), options_.config.slurm),
                                               options_.program, output));
    const auto number = submitted({script.string()});
    for (std::size_t i = 0; i < ids.size(); ++i) queue_.note_cluster_id(ids[i], fmt::format("{}_{}", number, i));
  }

  void hand_over(const Job& job, double delay_seconds) {
    std::vector<std::string> words;
    std::string needs;
    for (const auto id : job.request.after) {
      const auto need = queue_.find(id);
      if (need.state != JobState::done) needs += ":" + need.cluster_id;
    }
    if (!needs.empty()) words = {"--dependency=afterok" + needs, "--kill-on-invalid-dep=yes"};
    if (delay_seconds >= 1) words.push_back(fmt::format("--begin=now+{:.0f}", delay_seconds));
    words.push_back(script_of(job.id).string());
    queue_.note_cluster_id(job.id, submitted(words));
  }

  static std::string submitted(const std::vector<std::string>& more) {
    std::vector<std::string> words{"sbatch", "--parsable"};
    words.insert(words.end(), more.begin(), more.end());
    const auto said = slurm_output(words);  // "123" or "123;cluster"
    return first_word(said.substr(0, said.find(';')));
  }

  // A job that the cluster does not have any more: it has ended, or was never handed over, or waited in vain for one
  // that is being tried again.
  void settle(JobId id) {
    const auto job = queue_.find(id);
    if (is_final(job.state)) return;  // skipped a moment ago, because of another
    const auto files = queue_.files(job.id);
    auto end = job.starts > 0 ? read_end(files, job.starts) : JobEnd{};
    const bool is_ready = std::ranges::all_of(job.request.after, [&](JobId other) {
      const auto need = queue_.find(other);
      return need.state == JobState::done || !need.cluster_id.empty();
    });
    const auto state = job.cluster_id.empty() ? "" : last_state(job.cluster_id);
    const bool waited_in_vain = !end.is_known && job.state == JobState::queued && !job.request.after.empty();
    if (job.cluster_id.empty() || waited_in_vain) {
      if (is_ready) start_again(job, 0);
      return;
    }
    queue_.note_running(job.id, "");
    if (state.starts_with("CANCELLED")) {
      if (!queue_.is_cancelling(job.id)) queue_.cancel(job.id);  // by somebody else
    } else if (state == "OUT_OF_MEMORY" && !end.is_known) {
      end = {.is_known = true, .exit_code = 137};
    }
    const auto verdict = queue_.end(job, end);
    if (verdict.state == JobState::queued) start_again(queue_.find(job.id), verdict.delay_seconds);
  }

  void start_again(const Job& job, double delay_seconds) {
    write_job(job);
    hand_over(job, delay_seconds);
  }

  JobQueue& queue_;
  EngineOptions options_;
};

}  // namespace

std::unique_ptr<JobEngine> make_slurm_engine(JobQueue& queue, const EngineOptions& options) {
  return std::make_unique<SlurmEngine>(queue, options);
}

}  // namespace melisma
