#include "experiments/jobs/job_queue.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "experiments/jobs/device_lock.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// The version of the schema is the number of these.
constexpr std::array<std::string_view, 1> kJobsSchema{R"(
  CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    engine TEXT NOT NULL, words TEXT NOT NULL, folder TEXT NOT NULL, name TEXT NOT NULL, grouped TEXT NOT NULL,
    wanted_device TEXT NOT NULL, priority INTEGER NOT NULL, retries INTEGER NOT NULL, backoff_seconds REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued', reason TEXT NOT NULL DEFAULT '',
    starts INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0, exit_code INTEGER,
    is_cancelling INTEGER NOT NULL DEFAULT 0,
    submitted REAL NOT NULL, not_before REAL NOT NULL DEFAULT 0, started REAL NOT NULL DEFAULT 0,
    ended REAL NOT NULL DEFAULT 0, device TEXT NOT NULL DEFAULT '',
    worker_pid INTEGER NOT NULL DEFAULT 0, worker_ticks INTEGER NOT NULL DEFAULT 0,
    supervisor_pid INTEGER NOT NULL DEFAULT 0, supervisor_ticks INTEGER NOT NULL DEFAULT 0,
    cluster_id TEXT NOT NULL DEFAULT '');
  CREATE INDEX jobs_by_turn ON jobs (state, priority DESC, id);
  CREATE TABLE job_needs (
    job INTEGER NOT NULL REFERENCES jobs (id), needs INTEGER NOT NULL REFERENCES jobs (id), PRIMARY KEY (job, needs))
    WITHOUT ROWID;
  CREATE INDEX job_needs_by_need ON job_needs (needs);
)"};

constexpr std::string_view kColumns =
    "id, engine, words, folder, name, grouped, wanted_device, priority, retries, backoff_seconds, state, reason, "
    "starts, "
    "failures, exit_code, is_cancelling, submitted, not_before, started, ended, device, worker_pid, worker_ticks, "
    "supervisor_pid, supervisor_ticks, cluster_id";

constexpr std::string_view kNeedsAreDone =
    "NOT EXISTS (SELECT 1 FROM job_needs n JOIN jobs b ON b.id = n.needs WHERE n.job = jobs.id AND b.state <> 'done')";

// ?1 is the device of a worker.
constexpr std::string_view kFitsDevice =
    "(wanted_device = '' OR wanted_device = ?1 OR (wanted_device = 'cuda' AND ?1 LIKE 'cuda:%'))";

ProcessIdentity identity_at(const Rows& rows, int column) {
  return {static_cast<pid_t>(rows.integer(column)), static_cast<std::uint64_t>(rows.integer(column + 1))};
}

Job job_at(const Rows& rows) {
  Job job;
  job.id = rows.integer(0);
  job.engine = rows.text(1);
  job.request.words = Json::parse(rows.text(2)).get<std::vector<std::string>>();
  job.request.folder = rows.text(3);
  job.request.name = rows.text(4);
  job.request.group = rows.text(5);
  job.request.device = rows.text(6);
  job.request.priority = rows.integer(7);
  job.request.retries = rows.integer(8);
  job.request.backoff_seconds = rows.number(9);
  job.state = job_state_named(rows.text(10));
  job.reason = rows.text(11);
  job.starts = rows.integer(12);
  job.failures = rows.integer(13);
  if (!rows.is_null(14)) job.exit_code = static_cast<int>(rows.integer(14));
  job.is_cancelling = rows.integer(15) != 0;
  job.submitted = rows.number(16);
  job.not_before = rows.number(17);
  job.started = rows.number(18);
  job.ended = rows.number(19);
  job.device = rows.text(20);
  job.worker = identity_at(rows, 21);
  job.supervisor = identity_at(rows, 23);
  job.cluster_id = rows.text(25);
  return job;
}

std::string quoted(const std::vector<JobState>& states) {
  std::vector<std::string> names;
  for (const auto state : states) names.push_back(fmt::format("'{}'", name_of(state)));
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

bool JobQueue::exists(const fs::path& workspace) { return fs::exists(workspace / "workspace.db"); }

JobQueue::JobQueue(const fs::path& workspace)
    : workspace_(fs::absolute(workspace).lexically_normal()), database_(workspace_ / "workspace.db") {
  database_.bring_up_to_date("jobs", kJobsSchema);
}

std::vector<JobId> JobQueue::submit(std::string_view engine, std::span<const JobRequest> requests) {
  return database_.transaction([&] {
    std::vector<JobId> ids;
    for (const auto& request : requests) ids.push_back(insert(engine, request, ids));
    return ids;
  });
}

JobId JobQueue::insert(std::string_view engine, const JobRequest& request, std::span<const JobId> earlier) {
  database_.run(
      "INSERT INTO jobs (engine, words, folder, name, grouped, wanted_device, priority, retries, backoff_seconds, "
      "submitted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      engine, json_line(Json(request.words)), request.folder.string(), request.name, request.group,
      job_device(request.device), request.priority, request.retries, request.backoff_seconds, seconds_now());
  const auto id = database_.last_key();
  for (const auto after : request.after) {
    const auto needs = after < 0 ? earlier[static_cast<std::size_t>(-after - 1)] : after;
    if (const auto state = find(needs).state; is_final(state) && state != JobState::done) {
      fail(ErrorKind::usage, "job {} was {}, so nothing can run after it; melisma jobs retry {} first", needs,
           name_of(state), needs);
    }
    database_.run("INSERT OR IGNORE INTO job_needs (job, needs) VALUES (?, ?)", id, needs);
  }
  return id;
}

Job JobQueue::find(JobId id) const {
  auto rows = database_.query(fmt::format("SELECT {} FROM jobs WHERE id = ?", kColumns), id);
  if (!rows.next()) {
    fail(ErrorKind::usage, "there is no job {} in '{}'; melisma jobs list shows them", id, workspace_.string());
  }
  auto job = job_at(rows);
  auto needs = database_.query("SELECT needs FROM job_needs WHERE job = ? ORDER BY needs", id);
  while (needs.next()) job.request.after.push_back(needs.integer(0));
  return job;
}

std::vector<Job> JobQueue::list(const JobFilter& filter) const {
  auto sql = fmt::format("SELECT {} FROM jobs WHERE (?1 = '' OR grouped = ?1) AND (?2 = '' OR engine = ?2)", kColumns);
  if (!filter.states.empty()) sql += fmt::format(" AND state IN ({})", quoted(filter.states));
  std::vector<Job> jobs;
  std::map<JobId, std::size_t> places;
  auto rows = database_.query(sql + " ORDER BY id", filter.group, filter.engine);
  while (rows.next()) {
    jobs.push_back(job_at(rows));
    places.emplace(jobs.back().id, jobs.size() - 1);
  }
  auto needs = database_.query("SELECT job, needs FROM job_needs ORDER BY job, needs");
  while (needs.next()) {
    const auto place = places.find(needs.integer(0));
    if (place != places.end()) jobs[place->second].request.after.push_back(needs.integer(1));
  }
  return jobs;
}

std::vector<std::string> JobQueue::engines_at_work() const {
  std::vector<std::string> engines;
  auto rows = database_.query("SELECT DISTINCT engine FROM jobs WHERE state IN ('queued', 'running')");
  while (rows.next()) engines.push_back(rows.text(0));
  return engines;
}

// The lock is taken before the job is, so that a job is running in the queue only while somebody has its lock, or had
// and was killed.
std::optional<ClaimedJob> JobQueue::claim(const std::string& device) {
  const auto sql = fmt::format(
      "SELECT id FROM jobs WHERE state = 'queued' AND engine = 'local' AND not_before <= ?2 AND {} AND {} "
      "ORDER BY priority DESC, id LIMIT 50",
      kFitsDevice, kNeedsAreDone);
  std::vector<JobId> candidates;
  {
    auto rows = database_.query(sql, device, seconds_now());
    while (rows.next()) candidates.push_back(rows.integer(0));
  }
  const auto self = ProcessIdentity::of(::getpid());
  for (const auto id : candidates) {
    auto lock = FileLock::try_take(files(id).lock());
    if (!lock) continue;  // another worker is at it, or what it left behind
    const auto n = database_.run(
        "UPDATE jobs SET state = 'running', reason = '', starts = starts + 1, exit_code = NULL, started = ?2, ended = "
        "0, "
        "device = ?3, worker_pid = ?4, worker_ticks = ?5, supervisor_pid = 0, supervisor_ticks = 0 "
        "WHERE id = ?1 AND state = 'queued'",
        id, seconds_now(), device, self.pid, self.start_ticks);
    if (n == 1) return ClaimedJob{find(id), std::move(*lock)};
  }
  return std::nullopt;
}

bool JobQueue::has_work_for(const std::string& device) const {
  std::set<JobId> may_end_well;  // a job's number is larger than those of the jobs it needs
  bool has_work = false;
  for (const auto& job : list({.engine = "local"})) {
    const auto& wanted = job.request.device;
    const bool fits = wanted.empty() || wanted == device || (wanted == "cuda" && device.starts_with("cuda:"));
    const bool comes_up = job.state == JobState::queued && fits &&
                          std::ranges::all_of(job.request.after, [&](JobId id) { return may_end_well.contains(id); });
    if (comes_up || job.state == JobState::running || job.state == JobState::done) may_end_well.insert(job.id);
    has_work |= comes_up;
  }
  return has_work;
}

void JobQueue::note_supervisor(JobId id, const ProcessIdentity& supervisor) {
  database_.run("UPDATE jobs SET supervisor_pid = ?2, supervisor_ticks = ?3 WHERE id = ?1", id, supervisor.pid,
                supervisor.start_ticks);
}

JobVerdict JobQueue::end(const Job& job, const JobEnd& end) {
  return database_.transaction([&] {
    auto now = find(job.id);  // somebody may have cancelled it meanwhile
    const auto verdict = judge(now, end);
    std::optional<int> exit_code;
    if (end.is_known) exit_code = end.exit_code;
    database_.run(
        "UPDATE jobs SET state = ?2, reason = ?3, failures = failures + ?4, exit_code = ?5, not_before = ?6, ended = "
        "?7, "
        "is_cancelling = 0, worker_pid = 0, worker_ticks = 0, supervisor_pid = 0, supervisor_ticks = 0 "
        "WHERE id = ?1 AND state = 'running'",
        job.id, name_of(verdict.state), verdict.reason, verdict.is_failure ? 1 : 0, exit_code,
        verdict.delay_seconds > 0 ? seconds_now() + verdict.delay_seconds : 0.0, seconds_now());
    skip_what_cannot_run();
    return verdict;
  });
}

void JobQueue::cancel(JobId id) {
  database_.transaction([&] {
    const auto job = find(id);
    if (is_final(job.state)) {
      fail(ErrorKind::usage, "job {} is {} already; there is nothing to cancel", id, name_of(job.state));
    }
    if (job.state == JobState::running) {
      database_.run("UPDATE jobs SET is_cancelling = 1 WHERE id = ?", id);
      return;
    }
    database_.run("UPDATE jobs SET state = 'cancelled', reason = 'cancelled before its turn', ended = ?2 WHERE id = ?1",
                  id, seconds_now());
    skip_what_cannot_run();
  });
}

bool JobQueue::is_cancelling(JobId id) const {
  auto rows = database_.query("SELECT is_cancelling FROM jobs WHERE id = ?", id);
  return rows.next() && rows.integer(0) != 0;
}

void JobQueue::retry(JobId id) {
  database_.transaction([&] {
    const auto job = find(id);
    if (!is_final(job.state) || job.state == JobState::done) {
      fail(ErrorKind::usage, "job {} is {}; what can be retried has failed, was cancelled or skipped", id,
           name_of(job.state));
    }
    for (const auto needs : job.request.after) {
      if (const auto state = find(needs).state; is_final(state) && state != JobState::done) {
        fail(ErrorKind::usage, "job {} is to run after job {}, which was {}; melisma jobs retry {} first", id, needs,
             name_of(state), needs);
      }
    }
    constexpr std::string_view kAnew =
        "state = 'queued', reason = '', failures = 0, exit_code = NULL, is_cancelling = 0, not_before = 0, ended = 0, "
        "cluster_id = ''";
    database_.run(fmt::format("UPDATE jobs SET {} WHERE id = ?", kAnew), id);
    database_.run(fmt::format("WITH RECURSIVE below (id) AS (SELECT job FROM job_needs WHERE needs = ?1 UNION SELECT "
                              "n.job FROM job_needs n JOIN below ON n.needs = below.id) UPDATE jobs SET {} WHERE state "
                              "= 'skipped' AND id IN below",
                              kAnew),
                  id);
    skip_what_cannot_run();
  });
}

// Those that wait for a job that came to nothing, then those that wait for them, and so on.
void JobQueue::skip_what_cannot_run() {
  constexpr std::string_view kFirstLost =
      "FROM job_needs n JOIN jobs b ON b.id = n.needs WHERE n.job = jobs.id AND b.state IN "
      "('failed', 'cancelled', 'skipped')";
  const auto sql = fmt::format(
      "UPDATE jobs SET state = 'skipped', ended = ?1, reason = (SELECT 'job ' || b.id || ', which it was to run after, "
      "' "
      "|| CASE b.state WHEN 'failed' THEN 'failed' ELSE 'was ' || b.state END {0} ORDER BY b.id LIMIT 1) "
      "WHERE state = 'queued' AND EXISTS (SELECT 1 {0})",
      kFirstLost);
  while (database_.run(sql, seconds_now()) > 0) {
  }
}

void JobQueue::note_cluster_id(JobId id, const std::string& cluster_id) {
  database_.run("UPDATE jobs SET cluster_id = ?2, starts = starts + 1 WHERE id = ?1", id, cluster_id);
}

void JobQueue::note_running(JobId id, const std::string& where) {
  database_.run(
      "UPDATE jobs SET state = 'running', reason = '', device = ?2, started = ?3, ended = 0 WHERE id = ?1 AND state = "
      "'queued'",
      id, where, seconds_now());
}

void JobQueue::note_waiting(JobId id, const std::string& reason) {
  database_.run("UPDATE jobs SET reason = ?2 WHERE id = ?1 AND state = 'queued'", id, reason);
}

}  // namespace melisma
