// What the slurm engine tells a cluster and makes of its answers; the cluster is four scripts that answer from files.
// The real one is tests/cli/slurm_test.cc.
#include <sstream>

#include "experiments/jobs/job_engine.h"
#include "experiments/jobs/slurm_job.h"
#include "experiments/jobs/supervisor.h"
#include "tests/experiments/jobs/workplace.h"
#include "tests/support/refusal.h"
#include "tools/base/table.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::refusal_of;
using ::testing::StartsWith;

class SlurmEngine : public testing::Workplace {
 protected:
  void SetUp() override {
    Workplace::SetUp();
    fs::create_directories(folder / "bin");
    const auto here = folder.path().string();
    script("sbatch", "echo \"$@\" >> " + here + "/submitted; [ -e " + here +
                         "/refuse ] && { echo no such partition >&2; "
                         "exit 1; }; wc -l < " +
                         here + "/submitted");
    script("squeue", "cat " + here + "/queue 2>/dev/null; exit 0");
    script("scontrol", "cat " + here + "/state 2>/dev/null");
    script("sacct", "exit 1");
    script("scancel", "echo \"$@\" >> " + here + "/cancelled");
    path_ = std::getenv("PATH");
    ::setenv("PATH", ((folder / "bin").string() + ":" + path_).c_str(), 1);
  }
  void TearDown() override {
    ::setenv("PATH", path_.c_str(), 1);
    Workplace::TearDown();
  }
  void script(const std::string& name, const std::string& text) const {
    write_file_atomically(folder / ("bin/" + name), "#!/bin/sh\n" + text + "\n");
    fs::permissions(folder / ("bin/" + name), fs::perms::owner_all);
  }
  void cluster_says(const std::string& lines) const { write_file_atomically(folder / "queue", lines); }
  void it_ended_as(const std::string& state) const {
    cluster_says("");
    write_file_atomically(folder / "state", "JobId=1 JobName=x JobState=" + state + " Reason=None\n");
  }
  [[nodiscard]] std::vector<std::string> told(const std::string& file) const {
    std::vector<std::string> lines;
    std::istringstream text(fs::exists(folder / file) ? read_file(folder / file) : "");
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }
  void with_engine(const std::function<void(JobEngine&)>& action) const {
    JobQueue queue(workspace());
    const EngineOptions options{.config = {}, .program = {"/opt/melisma", "--workspace", "/w"}};
    action(*make_job_engine("slurm", queue, options));
  }
  std::vector<JobId> submitted(const std::vector<JobRequest>& requests) const {
    std::vector<JobId> ids;
    with_engine([&](JobEngine& engine) { ids = engine.submit(requests); });
    return ids;
  }
  void watch() const {
    with_engine([](JobEngine& engine) { engine.watch(); });
  }
  void node_writes(JobId id, std::int64_t start, int exit_code, bool was_stopped = false) const {
    write_end(JobFiles(workspace(), id), start, {.is_known = true, .exit_code = exit_code, .was_stopped = was_stopped});
  }

 private:
  std::string path_;
};

TEST_F(SlurmEngine, AJobIsFollowedFromTheQueueToItsEnd) {
  const auto id = submitted({request("runs")}).front();
  EXPECT_EQ(job(id).cluster_id, "1");
  EXPECT_THAT(told("submitted"), ElementsAre("--parsable " + (workspace() / "jobs/1/slurm.sh").string()));
  cluster_says("1|PENDING||Resources\n77|RUNNING|other|None\n");
  watch();
  EXPECT_EQ(job(id).reason, "in the cluster: Resources");
  cluster_says("1|RUNNING|node7|None\n");
  watch();
  EXPECT_EQ(job(id).state, JobState::running);
  EXPECT_EQ(job(id).device, "node7");
  it_ended_as("COMPLETED");
  node_writes(id, 1, 0);
  watch();
  EXPECT_EQ(job(id).state, JobState::done);
}

TEST_F(SlurmEngine, AJobThatIsOverBetweenTwoLooksIsNotMissed) {
  const auto id = submitted({request("runs")}).front();
  it_ended_as("FAILED");
  node_writes(id, 1, 3);
  watch();
  EXPECT_EQ(job(id).state, JobState::failed);
  EXPECT_EQ(job(id).reason, "exit code 3");
}

TEST_F(SlurmEngine, ATrainingThatReachesItsTimeLimitIsHandedOverAgain) {
  const auto id = submitted({request("runs")}).front();
  it_ended_as("TIMEOUT");
  node_writes(id, 1, 143, true);
  watch();
  EXPECT_EQ(job(id).state, JobState::queued);
  EXPECT_EQ(job(id).cluster_id, "2");
  EXPECT_EQ(job(id).starts, 2);
  node_writes(id, 1, 0);  // of the start before: no word of this one
  cluster_says("2|RUNNING|node7|None\n");
  watch();
  EXPECT_EQ(job(id).state, JobState::running);
}

TEST_F(SlurmEngine, AFailureThatMayPassWaitsInTheClusterForItsNextTry) {
  auto wanted = request("runs");
  wanted.retries = 1;
  wanted.backoff_seconds = 40;
  const auto id = submitted({wanted}).front();
  it_ended_as("FAILED");
  node_writes(id, 1, 5);
  watch();
  EXPECT_EQ(job(id).state, JobState::queued);
  EXPECT_THAT(told("submitted").back(), HasSubstr("--begin=now+40 "));
}

TEST_F(SlurmEngine, WhatOthersCancelIsCancelled) {
  const auto id = submitted({request("runs")}).front();
  it_ended_as("CANCELLED");
  watch();
  EXPECT_EQ(job(id).state, JobState::cancelled);
  EXPECT_EQ(told("submitted").size(), 1u);
}

TEST_F(SlurmEngine, RunningOutOfMemoryIsAFailure) {
  const auto id = submitted({request("runs")}).front();
  it_ended_as("OUT_OF_MEMORY");
  watch();
  EXPECT_EQ(job(id).state, JobState::failed);
  EXPECT_EQ(job(id).exit_code, 137);
}

TEST_F(SlurmEngine, CancellingIsAskedOfTheCluster) {
  const auto id = submitted({request("runs")}).front();
  cluster_says("1|RUNNING|node7|None\n");
  with_engine([&](JobEngine& engine) { engine.cancel(id); });
  EXPECT_THAT(told("cancelled"), ElementsAre("1"));
  EXPECT_EQ(job(id).state, JobState::running);
  it_ended_as("CANCELLED");
  node_writes(id, 1, 143, true);
  watch();
  EXPECT_EQ(job(id).state, JobState::cancelled);
}

TEST_F(SlurmEngine, DependenciesAreToldInTheClustersNumbers) {
  auto second = request("runs");
  second.after = {-1};
  const auto ids = submitted({request("runs"), second});
  EXPECT_THAT(told("submitted").back(), StartsWith("--parsable --dependency=afterok:1 --kill-on-invalid-dep=yes "));
  cluster_says("2|PENDING||Dependency\n");
  node_writes(ids[0], 1, 2);
  watch();
  EXPECT_EQ(job(ids[1]).state, JobState::skipped);
  EXPECT_EQ(job(ids[1]).reason, "job 1, which it was to run after, failed");
}

TEST_F(SlurmEngine, JobsThatWaitForNothingAreOneArray) {
  const auto ids = submitted({request("a"), request("b"), request("c")});
  EXPECT_EQ(told("submitted").size(), 1u);
  EXPECT_EQ(job(ids[0]).cluster_id, "1_0");
  EXPECT_EQ(job(ids[2]).cluster_id, "1_2");
  const auto text = read_file(workspace() / "jobs/array-1.sh");
  EXPECT_THAT(text, HasSubstr("#SBATCH --array=0-2\n"));
  EXPECT_THAT(text, HasSubstr("  1) folder=" + (workspace() / "jobs/2").string() + " ;;\n"));
}

TEST_F(SlurmEngine, WhatTheClusterRefusesIsNotLeftInTheQueue) {
  write_file_atomically(folder / "refuse", "");
  EXPECT_EQ(refusal_of(ErrorKind::device,
                       [&] {
                         submitted({request("a"), request("b")});
                       }),
            "sbatch refuses (exit code 1): no such partition ");
  EXPECT_EQ(job(1).state, JobState::cancelled);
  EXPECT_EQ(job(2).state, JobState::cancelled);
}

TEST_F(SlurmEngine, AJobThatWasNeverHandedOverIsHandedOverLater) {
  JobQueue(workspace()).submit("slurm", {{request("a")}});  // and then its process was killed
  watch();
  EXPECT_EQ(job(1).cluster_id, "1");
  EXPECT_TRUE(fs::exists(workspace() / "jobs/1/slurm.sh"));
}

TEST_F(SlurmEngine, AJobCannotWaitForOneOfAnotherEngine) {
  auto wanted = request("a");
  wanted.after = {submit("true")};
  EXPECT_THAT(refusal_of(ErrorKind::usage, [&] { submitted({wanted}); }), HasSubstr("not of the slurm engine"));
}

TEST_F(SlurmEngine, AClusterThatIsNotThereIsNamed) {
  fs::remove(folder / "bin/sbatch");
  ::setenv("PATH", (folder / "bin").c_str(), 1);
  EXPECT_THAT(refusal_of(ErrorKind::device, [&] { submitted({request("a")}); }), HasSubstr("cannot run 'sbatch'"));
}

TEST(SlurmScript, OptionsComeFromTheConfigurationAndTheJob) {
  Job job;
  job.id = 3;
  EXPECT_THAT(sbatch_options(job, {}), ElementsAre("--job-name=melisma-3", "--requeue", "--open-mode=append"));
  SlurmConfig config{.partition = "gpu", .gres = "gpu:a100:1", .time = "8:00:00", .cpus = 4, .options = {"--qos=low"}};
  job.request.priority = -5;
  EXPECT_THAT(sbatch_options(job, config),
              ElementsAre("--job-name=melisma-3", "--requeue", "--open-mode=append", "--partition=gpu",
                          "--gres=gpu:a100:1", "--time=8:00:00", "--cpus-per-task=4", "--nice=5", "--qos=low"));
  job.request.device = "cpu";
  EXPECT_THAT(sbatch_options(job, config), Not(Contains(HasSubstr("gres"))));
  job.request.device = "cuda";
  EXPECT_THAT(sbatch_options(job, {}), Contains("--gres=gpu:1"));
}

TEST(SlurmScript, AnArraysIndexChoosesTheFolderWhateverItIsCalled) {
  const testing::TemporaryFolder folder;
  const std::vector<JobFiles> jobs{JobFiles(fs::path("/w/a")), JobFiles(fs::path("/w/it's b"))};
  const std::vector<std::string> program{"echo", "x y"};
  write_file_atomically(folder / "s.sh", slurm_script(jobs, {}, program, "/dev/null"));
  const auto said = [&](const std::string& index) {
    EXPECT_EQ(std::system(("SLURM_ARRAY_TASK_ID=" + index + " sh " + (folder / "s.sh").string() + " > " +
                           (folder / "out").string())
                              .c_str()),
              0);
    return read_file(folder / "out");
  };
  EXPECT_EQ(said("0"), "x y jobs run /w/a\n");
  EXPECT_EQ(said("1"), "x y jobs run /w/it's b\n");
}

// On the node.
class SlurmNode : public testing::Workplace {
 protected:
  [[nodiscard]] JobFiles files() const { return {workspace(), 1}; }
  void write(std::int64_t start, const std::string& script) const {
    Job job;
    job.id = 1;
    job.request = request(script);
    write_start(files(), job, start, std::vector<std::string>{"/bin/sh", "-c"}, 5);
  }
};

TEST_F(SlurmNode, AStartIsDoneOnceAndWritesDownHowItEnded) {
  write(1, "echo ran >> ran; exit 5");
  EXPECT_EQ(run_start(files()), 5);
  EXPECT_EQ(read_end(files(), 1).exit_code, 5);
  EXPECT_EQ(run_start(files()), 5);  // handed over twice: it has come to its end already
  EXPECT_EQ(text("ran"), "ran\n");
  write(2, "echo ran >> ran");
  EXPECT_EQ(run_start(files()), 0);
  EXPECT_EQ(text("ran"), "ran\nran\n");
}

TEST_F(SlurmNode, ARequeuedStartRunsAgainAndNoneBesideItself) {
  write(1, "echo ran >> ran");
  write_end(files(), 1, {.is_known = true, .exit_code = 143, .was_stopped = true});
  {
    const auto lock = FileLock::try_take(files().lock());
    EXPECT_THAT(refusal_of(ErrorKind::device, [&] { (void)run_start(files()); }), HasSubstr("runs already"));
  }
  EXPECT_EQ(run_start(files()), 0);
  EXPECT_EQ(text("ran"), "ran\n");
}

// Slurm's signals reach every process of a job: the supervisor hands none on, waits, and says that it was stopped.
TEST_F(SlurmNode, AStopIsNotHandedOn) {
  write(1, "trap 'echo told >> told' TERM; echo started > started; until [ -e go ]; do sleep 0.01; done; exit 143");
  const pid_t node = ::fork();
  if (node == 0) ::_exit(run_start(files()));
  ASSERT_TRUE(waited_for("started"));
  ::kill(node, SIGTERM);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  write_file_atomically(place() / "go", "");
  int status = 0;
  ::waitpid(node, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 143);
  EXPECT_EQ(text("told"), "");
  EXPECT_TRUE(read_end(files(), 1).was_stopped);
}

}  // namespace
}  // namespace melisma
