// `melisma jobs submit|list|show|log|cancel|retry|worker`, answered without Torch.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "experiments/jobs/device_lock.h"
#include "experiments/jobs/job_engine.h"
#include "experiments/jobs/job_text.h"
#include "experiments/jobs/jobs_config.h"
#include "experiments/jobs/local_worker.h"
#include "experiments/jobs/slurm_job.h"
#include "tools/base/console_sink.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"
#include "tools/base/stop.h"
#include "tools/base/table.h"
#include "tools/cli/commands.h"
#include "tools/cli/jobs_settings.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct JobsOptions {
  JobsSettings settings;
  std::vector<std::string> words;  // of the job
  JobRequest request;
  std::vector<JobId> ids;
  std::string state, device = "cpu", folder;
  bool json = false, is_following = false, is_once = false, until_empty = false;
};

// A workspace without a queue has no jobs: looking does not make one.
JobQueue open_queue(const fs::path& workspace) {
  if (!JobQueue::exists(workspace)) {
    fail(ErrorKind::usage, "there are no jobs in '{}' yet; melisma jobs submit makes one", workspace.string());
  }
  return JobQueue(workspace);
}

// Whatever runs jobs says what has become of its own.
void watch_all(JobQueue& queue, const GlobalOptions& global) {
  for (const auto& name : queue.engines_at_work()) make_job_engine(name, queue, engine_options(global))->watch();
}

std::unique_ptr<JobEngine> engine_of(JobQueue& queue, JobId id, const GlobalOptions& global) {
  return make_job_engine(queue.find(id).engine, queue, engine_options(global));
}

int submit(const GlobalOptions& global, const JobsOptions& options) {
  check_command_line(options.words);
  const auto engine = engine_options(global, options.settings);
  const auto& config = engine.config;
  auto request = options.request;
  request.words = options.words;
  request.folder = fs::current_path();
  request.device = job_device(request.device);
  request.retries = config.retries;
  request.backoff_seconds = config.backoff.amount;
  if (request.name.empty()) request.name = command_text(options.words).substr(0, 60);
  JobQueue queue(global.workspace);
  const auto id = make_job_engine(config.engine, queue, engine)->submit({{request}}).front();
  if (options.json) {
    fmt::print("{}\n", json_text(to_json(queue.find(id), queue.files(id))));
  } else {
    fmt::print("job {}\n", id);
    if (config.engine == "local")
      fmt::print(stderr, "melisma jobs worker works the queue off, melisma jobs log {} --follow shows what it says\n",
                 id);
  }
  return 0;
}

int list(const GlobalOptions& global, const JobsOptions& options) {
  std::vector<Job> jobs;
  std::unique_ptr<JobQueue> queue;
  JobFilter filter{.group = options.request.group};
  if (!options.state.empty()) filter.states = {job_state_named(options.state)};
  if (JobQueue::exists(global.workspace)) {
    queue = std::make_unique<JobQueue>(global.workspace);
    watch_all(*queue, global);
    jobs = queue->list(filter);
  }
  if (options.json) {
    auto array = Json::array();
    for (const auto& job : jobs) array.push_back(to_json(job, queue->files(job.id)));
    fmt::print("{}\n", json_text(array));
  } else if (jobs.empty()) {
    fmt::print("no jobs in '{}'{}\n", global.workspace.string(),
               options.state.empty() && options.request.group.empty() ? " yet; melisma jobs submit makes one"
                                                                      : " are like that");
  } else {
    fmt::print("{}", job_table(jobs, *queue));
  }
  return 0;
}

int show(const GlobalOptions& global, const JobsOptions& options) {
  auto queue = open_queue(global.workspace);
  watch_all(queue, global);
  auto array = Json::array();
  for (const auto id : options.ids) {
    const auto job = queue.find(id);
    if (options.json) {
      array.push_back(to_json(job, queue.files(id)));
    } else {
      fmt::print("{}{}", id == options.ids.front() ? "" : "\n", job_facts(job, queue.files(id)));
    }
  }
  if (options.json) {
    fmt::print("{}\n", json_text(array.size() == 1 ? array[0] : array));
  }
  return 0;
}

// What is in the file past `place`, which moves on.
void print_from(const fs::path& path, std::uintmax_t& place) {
  std::ifstream file(path, std::ios::binary);
  if (!file || !file.seekg(static_cast<std::streamoff>(place))) return;
  std::vector<char> piece(1 << 16);
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())), file.gcount() > 0) {
    std::fwrite(piece.data(), 1, static_cast<std::size_t>(file.gcount()), stdout);
    place += static_cast<std::uintmax_t>(file.gcount());
  }
  std::fflush(stdout);
}

int show_log(const GlobalOptions& global, const JobsOptions& options) {
  auto queue = open_queue(global.workspace);
  const auto id = options.ids.front();
  const auto files = queue.files(id);
  if (queue.find(id).starts == 0) fmt::print(stderr, "job {} has not been started yet\n", id);
  install_stop_handlers();
  std::uintmax_t place = 0;
  constexpr double kWatchSeconds = 2;  // a cluster is asked for each look
  double watched = 0;
  while (options.is_following && stop_requested() == 0) {
    if (seconds_now() - watched >= kWatchSeconds) {
      watch_all(queue, global);
      watched = seconds_now();
    }
    const bool has_ended = is_final(queue.find(id).state);  // asked first: what it said last still counts
    print_from(files.log(), place);
    if (has_ended) return 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  print_from(files.log(), place);
  return 0;
}

int cancel(const GlobalOptions& global, const JobsOptions& options) {
  auto queue = open_queue(global.workspace);
  for (const auto id : options.ids) {
    engine_of(queue, id, global)->cancel(id);
    fmt::print("job {}: {}\n", id, queue.find(id).state == JobState::running ? "told to stop" : "cancelled");
  }
  return 0;
}

int retry(const GlobalOptions& global, const JobsOptions& options) {
  auto queue = open_queue(global.workspace);
  for (const auto id : options.ids) {
    engine_of(queue, id, global)->retry(id);
    fmt::print("job {}: queued\n", id);
  }
  return 0;
}

int run_worker(const GlobalOptions& global, const JobsOptions& options) {
  const auto config = read_jobs_config(global.workspace, options.settings);
  install_stop_handlers();
  ConsoleSink console;
  work({.workspace = global.workspace,
        .device = options.device,
        .program = program_for_jobs(global),
        .is_once = options.is_once,
        .until_empty = options.until_empty,
        .grace_seconds = config.grace.amount},
       console);
  return 0;
}

void define_submit(CLI::App& app, JobsOptions& options) {
  app.add_option("words", options.words, "the job, as after `melisma`; write -- before it")->required();
  app.add_option("--name", options.request.name, "for lists; default: the job's own words");
  app.add_option("--group", options.request.group, "a name that several jobs share");
  app.add_option("--device", options.request.device, "cpu, cuda (any GPU) or cuda:N; default: whatever is free");
  app.add_option("--priority", options.request.priority, "more comes first")->capture_default_str();
  app.add_option("--after", options.request.after, "a job that must be done first; as often as needed")
      ->check(CLI::PositiveNumber)
      ->allow_extra_args(false);
}

}  // namespace

std::function<int()> define_jobs(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<JobsOptions>();
  app.require_subcommand(1);
  auto* submitter = app.add_subcommand("submit", "queues a command line: melisma jobs submit -- train rvc ...");
  auto* lister = app.add_subcommand("list", "the jobs of the workspace, and how far they are");
  auto* shower = app.add_subcommand("show", "everything about a job");
  auto* logger = app.add_subcommand("log", "what a job has said");
  auto* canceller = app.add_subcommand("cancel", "a queued job is dropped; a running one saves and ends");
  auto* retrier = app.add_subcommand("retry", "queues again what failed, was cancelled or skipped");
  auto* worker = app.add_subcommand("worker", "works the queue off on one device of this machine");
  auto* runner = app.add_subcommand("run", "what a node of a cluster does: the next start of the job of a folder");
  runner->group("");  // nobody types it
  runner->add_option("folder", options->folder, "of the job")->required();
  define_submit(*submitter, *options);
  for (auto* sub : {submitter, worker}) add_jobs_settings(*sub, options->settings);
  for (auto* sub : {submitter, lister, shower}) sub->add_flag("--json", options->json, "print JSON");
  for (auto* sub : {shower, canceller, retrier}) sub->add_option("jobs", options->ids, "their numbers")->required();
  lister->add_option("--state", options->state, "only those: queued, running, done, failed, cancelled or skipped");
  lister->add_option("--group", options->request.group, "only those of a group");
  logger->add_option("job", options->ids, "its number")->required()->expected(1);
  logger->add_flag("--follow", options->is_following, "go on until the job has ended");
  worker->add_option("--device", options->device, "cpu, cuda:0, cuda:1, ...; one worker a device")
      ->capture_default_str();
  auto* once = worker->add_flag("--once", options->is_once, "end after one job, or at once if there is none");
  worker->add_flag("--until-empty", options->until_empty, "end when nothing is left that will come up on the device")
      ->excludes(once);
  return [=, &global] {
    if (submitter->parsed()) return submit(global, *options);
    if (lister->parsed()) return list(global, *options);
    if (shower->parsed()) return show(global, *options);
    if (logger->parsed()) return show_log(global, *options);
    if (canceller->parsed()) return cancel(global, *options);
    if (runner->parsed()) return run_start(JobFiles(fs::absolute(options->folder).lexically_normal()));
    return retrier->parsed() ? retry(global, *options) : run_worker(global, *options);
  };
}

}  // namespace melisma
