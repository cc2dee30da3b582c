// Workers and their jobs: logs, tries, stops, and what is left when processes are killed.
#include "experiments/jobs/local_worker.h"

#include <set>
#include <sstream>

#include "experiments/jobs/device_lock.h"
#include "experiments/jobs/job_engine.h"
#include "tests/experiments/jobs/workplace.h"
#include "tests/support/refusal.h"
#include "tools/base/table.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::refusal_of;
using ::testing::StartsWith;
using testing::wait_until;
using testing::WorkerProcess;

class LocalWorker : public testing::Workplace {
 protected:
  // A job that says when it started, refuses to run beside itself, and ends when a file called `go` is there. Told to
  // stop it notes that and ends as this program does.
  static std::string patient() {
    return "exec 9>self; flock -n 9 || echo twice >> twice; trap 'echo saved >> saved; exit 143' TERM; "
           "echo started >> started; until [ -e go ]; do sleep 0.01; done; echo whole >> whole";
  }
  void let_it_end() const { write_file_atomically(place() / "go", ""); }
};

TEST_F(LocalWorker, RunsWhatIsQueuedAndKeepsWhatItSays) {
  const auto id = submit("echo to stdout; echo to stderr >&2; pwd; echo gpus=$CUDA_VISIBLE_DEVICES; cat");
  work_until_empty();
  EXPECT_EQ(job(id).state, JobState::done);
  EXPECT_EQ(job(id).exit_code, 0);
  EXPECT_EQ(job(id).device, "cpu");
  EXPECT_THAT(log(id), StartsWith("== job 1, start 1, on cpu, "));
  EXPECT_THAT(log(id), HasSubstr("to stdout\nto stderr\n" + fs::canonical(place()).string() + "\ngpus=\n"));
}

TEST_F(LocalWorker, AJobOnAGpuSeesThatOne) {
  const auto id = submit("echo gpus=$CUDA_VISIBLE_DEVICES");
  work_until_empty("cuda:3");
  EXPECT_THAT(log(id), HasSubstr("gpus=3\n"));
}

TEST_F(LocalWorker, TriesAgainWhatMayPassAndKeepsEveryLog) {
  auto wanted = request("echo try >> tries; [ $(wc -l < tries) -ge 3 ] || exit 5");
  wanted.retries = 2;
  const auto id = submit(wanted);
  work_until_empty();
  EXPECT_EQ(job(id).state, JobState::done);
  EXPECT_EQ(job(id).starts, 3);
  EXPECT_EQ(job(id).failures, 2);
  EXPECT_THAT(log(id), HasSubstr("start 3"));
}

TEST_F(LocalWorker, AJobThatFailsHoldsNoOtherUp) {
  const auto bad = submit("exit 3"), good = submit("true"), killed = submit("kill -9 $$");
  work_until_empty();
  EXPECT_EQ(job(bad).reason, "exit code 3");
  EXPECT_EQ(job(good).state, JobState::done);
  EXPECT_EQ(job(killed).reason, "ended by SIGKILL (137)");
}

TEST_F(LocalWorker, AFolderOrProgramThatIsGoneIsSaidInTheLog) {
  auto nowhere = request("true");
  nowhere.folder = "/nowhere";
  const auto id = submit(nowhere);
  work_until_empty();
  EXPECT_EQ(job(id).state, JobState::failed);
  EXPECT_THAT(log(id), HasSubstr("melisma: usage: cannot enter '/nowhere': No such file or directory"));
  const auto other = submit("true");
  auto without = options();
  without.program = {"/nowhere/melisma"};
  testing::SilentSink sink;
  work(without, sink);
  EXPECT_THAT(log(other), HasSubstr("cannot start '/nowhere/melisma'"));
}

TEST_F(LocalWorker, OneJobAtMostIfAskedForOnce) {
  submit("true");
  submit("true");
  auto once = options();
  once.is_once = true;
  testing::SilentSink sink;
  work(once, sink);
  EXPECT_EQ(job(1).state, JobState::done);
  EXPECT_EQ(job(2).state, JobState::queued);
}

TEST_F(LocalWorker, WhatAJobLeavesBehindEndsWithIt) {
  const auto id = submit("sleep 1000 & echo $! > left");
  work_until_empty();
  EXPECT_EQ(job(id).state, JobState::done);
  EXPECT_FALSE(ProcessIdentity::of(std::stoi(text("left"))).is_alive());
  EXPECT_TRUE(FileLock::is_free(JobFiles(workspace(), id).lock()));
}

TEST_F(LocalWorker, ASecondWorkerOfADeviceIsRefusedWithTheProcessOfTheFirst) {
  submit(patient());
  WorkerProcess first(options());
  ASSERT_TRUE(waited_for("started"));
  const auto refused = refusal_of(ErrorKind::device, [&] { work_until_empty(); });
  EXPECT_THAT(refused, HasSubstr("cpu is held by the worker of process " + std::to_string(first.pid())));
  EXPECT_THAT(refused, HasSubstr(workspace().string()));
  let_it_end();
  EXPECT_EQ(first.finish(), 0);
  work_until_empty();  // and free again
}

TEST_F(LocalWorker, TwoDevicesWorkSideBySide) {
  const auto both = "echo here >> here; until [ $(wc -l < here) = 2 ]; do sleep 0.01; done";
  const auto one = submit(both), two = submit(both);
  WorkerProcess cpu(options("cpu")), gpu(options("cuda:0"));
  EXPECT_EQ(cpu.finish(), 0);
  EXPECT_EQ(gpu.finish(), 0);
  EXPECT_EQ(job(one).state, JobState::done);
  EXPECT_EQ(job(two).state, JobState::done);
  EXPECT_NE(job(one).device, job(two).device);
}

TEST_F(LocalWorker, AKilledWorkersJobSavesAndIsTakenUpAgain) {
  const auto id = submit(patient());
  WorkerProcess worker(options());
  ASSERT_TRUE(waited_for("started"));
  worker.kill();
  let_it_end();
  work_until_empty();
  EXPECT_EQ(job(id).state, JobState::done);
  EXPECT_EQ(job(id).starts, 2);
  EXPECT_EQ(job(id).failures, 0);
  EXPECT_EQ(text("saved"), "saved\n");
  EXPECT_EQ(text("whole"), "whole\n");
  EXPECT_EQ(text("twice"), "");
}

TEST_F(LocalWorker, AJobThatEndsAfterItsWorkerWasKilledIsNotRunAgain) {
  const auto id = submit("trap '' TERM; echo started >> started; until [ -e go ]; do sleep 0.01; done");
  WorkerProcess worker(options());
  ASSERT_TRUE(waited_for("started"));
  worker.kill();
  WorkerProcess next(options());
  EXPECT_EQ(job(id).state, JobState::running);
  let_it_end();
  EXPECT_EQ(next.finish(), 0);
  EXPECT_EQ(job(id).state, JobState::done);
  EXPECT_EQ(text("started"), "started\n");
}

TEST_F(LocalWorker, AJobThatDoesNotEndInTimeIsKilledBeforeItRunsAgain) {
  const auto id = submit(
      "exec 9>self; flock -n 9 || echo twice >> twice; trap '' TERM; echo started >> started; "
      "until [ -e go ]; do sleep 0.01; done");
  auto impatient = options();
  impatient.grace_seconds = 0.3;
  WorkerProcess worker(impatient);
  ASSERT_TRUE(waited_for("started"));
  worker.kill();
  WorkerProcess next(impatient);
  ASSERT_TRUE(wait_until([&] { return text("started") == "started\nstarted\n"; }));
  let_it_end();
  EXPECT_EQ(next.finish(), 0);
  EXPECT_EQ(job(id).state, JobState::done);
  EXPECT_EQ(text("twice"), "");
}

TEST_F(LocalWorker, AJobWhoseSupervisorIsKilledSavesAndRunsAgain) {
  const auto id = submit(patient());
  WorkerProcess worker(options());
  ASSERT_TRUE(waited_for("started"));
  ::kill(job(id).supervisor.pid, SIGKILL);
  ASSERT_TRUE(waited_for("saved"));
  let_it_end();
  EXPECT_EQ(worker.finish(), 0);
  EXPECT_EQ(job(id).state, JobState::done);
  EXPECT_EQ(job(id).starts, 2);
  EXPECT_EQ(text("twice"), "");
}

TEST_F(LocalWorker, AStoppedWorkerPutsItsJobBackAfterItHasSaved) {
  const auto id = submit(patient());
  for (const auto& [signal, exit_code] : {std::pair{SIGTERM, 143}, std::pair{SIGINT, 130}}) {
    fs::remove(place() / "started");
    fs::remove(place() / "saved");
    WorkerProcess worker(options());
    ASSERT_TRUE(waited_for("started"));
    ::kill(worker.pid(), signal);
    EXPECT_EQ(worker.finish(), exit_code);
    EXPECT_EQ(text("saved"), "saved\n");
    EXPECT_EQ(job(id).state, JobState::queued);
    EXPECT_EQ(job(id).reason, "its worker was stopped; it goes on from where it had got to");
  }
}

TEST_F(LocalWorker, ACancelledJobIsToldToStopAndTheNextOneRuns) {
  const auto id = submit(patient()), next = submit("true");
  WorkerProcess worker(options());
  ASSERT_TRUE(waited_for("started"));
  JobQueue queue(workspace());
  make_job_engine("local", queue, {})->cancel(id);
  EXPECT_EQ(worker.finish(), 0);
  EXPECT_EQ(text("saved"), "saved\n");
  EXPECT_EQ(job(id).state, JobState::cancelled);
  EXPECT_EQ(job(next).state, JobState::done);
}

TEST_F(LocalWorker, WatchingEntersWhatAKilledWorkerCouldNot) {
  const auto id = submit(patient());
  WorkerProcess worker(options());
  ASSERT_TRUE(waited_for("started"));
  worker.kill();
  JobQueue queue(workspace());
  const auto engine = make_job_engine("local", queue, {});
  ASSERT_TRUE(wait_until([&] {
    engine->watch();
    return job(id).state == JobState::queued;
  }));
  EXPECT_EQ(text("saved"), "saved\n");
}

// A worker that is killed between taking a job and starting it: whatever the instant, the job runs once afterwards.
TEST_F(LocalWorker, AJobThatWasTakenAndNotStartedIsStartedLater) {
  const auto id = submit("echo ran >> ran");
  const pid_t child = ::fork();
  if (child == 0) {
    JobQueue queue(workspace());
    const auto claimed = queue.claim("cpu");
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(job(id).state, JobState::running);
  work_until_empty();
  EXPECT_EQ(job(id).state, JobState::done);
  EXPECT_EQ(text("ran"), "ran\n");
}

// The bar: workers killed at a hundred random instants lose no job, run none beside itself and end none twice. A job
// cannot be stopped any more once it writes its end: told to stop between that and its exit, it would rightly run
// again.
class SlowLocalWorker : public LocalWorker {};

TEST_F(SlowLocalWorker, AHundredKillsLoseNoJobAndRunNoneTwice) {
  constexpr int kRounds = 100;
  std::uint64_t state = 1;
  const auto random = [&state](std::uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  int n_jobs = 0, n_cut_short = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (std::uint64_t more = 1 + random(2); more > 0; --more) {
      const auto number = std::to_string(++n_jobs);
      submit("exec 9>self-" + number + "; flock -n 9 || echo " + number + " >> twice; trap 'exit 143' TERM; echo " +
             number + " >> starts; for i in 1 2 3 4; do sleep 0.01; done; trap '' TERM; echo " + number + " >> ends");
    }
    WorkerProcess worker(options());
    std::this_thread::sleep_for(std::chrono::milliseconds(random(120)));
    n_cut_short += JobQueue(workspace()).list({.states = {JobState::running}}).empty() ? 0 : 1;
    worker.kill();
  }
  work_until_empty();
  std::multiset<int> ends;
  std::istringstream lines(text("ends"));
  for (int number = 0; lines >> number;) ends.insert(number);
  EXPECT_EQ(text("twice"), "");
  EXPECT_GT(n_cut_short, kRounds / 4);
  for (int number = 1; number <= n_jobs; ++number) {
    EXPECT_EQ(ends.count(number), 1u) << "job " << number;
    EXPECT_EQ(job(number).state, JobState::done) << number;
  }
}

}  // namespace
}  // namespace melisma
