// What follows from an end, and with which words a job is started.
#include "experiments/jobs/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "experiments/jobs/device_lock.h"
#include "experiments/jobs/job_files.h"
#include "experiments/jobs/job_progress.h"
#include "experiments/runs/job_note.h"
#include "experiments/runs/run.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal_of;
using testing::TemporaryFolder;
using Words = std::vector<std::string>;

JobVerdict verdict(int exit_code, std::int64_t failures, std::int64_t retries) {
  Job job;
  job.failures = failures;
  job.request.retries = retries;
  return judge(job, {.is_known = true, .exit_code = exit_code});
}

TEST(JobVerdict, FailuresThatMayPassAreTriedAgainAfterDoubledDelays) {
  EXPECT_EQ(verdict(5, 0, 2).state, JobState::queued);
  EXPECT_EQ(verdict(5, 0, 2).delay_seconds, 30);
  EXPECT_EQ(verdict(137, 1, 2).delay_seconds, 60);
  EXPECT_EQ(verdict(137, 1, 2).reason, "ended by SIGKILL (137); try 3 of 3 after 1 min 00 s");
  EXPECT_EQ(verdict(5, 2, 2).state, JobState::failed);
  EXPECT_EQ(verdict(5, 2, 2).reason, "exit code 5, try 3");
  EXPECT_EQ(verdict(70, 20, 99).delay_seconds, 3600);
}

TEST(JobVerdict, WhatComesOutTheSameTheNextTimeIsNot) {
  for (const int exit_code : {2, 3, 4}) EXPECT_EQ(verdict(exit_code, 0, 9).state, JobState::failed) << exit_code;
}

TEST(JobVerdict, WhatWasStoppedOrLostIsNoFailure) {
  const Job job;
  for (const JobEnd& end : {JobEnd{}, JobEnd{.is_known = true, .exit_code = 143, .was_stopped = true}}) {
    EXPECT_EQ(judge(job, end).state, JobState::queued);
    EXPECT_FALSE(judge(job, end).is_failure);
  }
  EXPECT_EQ(judge(job, {.is_known = true, .exit_code = 0, .was_stopped = true}).state, JobState::done);
}

TEST(JobVerdict, ACancelledJobThatEndsWellAllTheSameIsDone) {
  Job job;
  job.is_cancelling = true;
  EXPECT_EQ(judge(job, {.is_known = true, .exit_code = 143, .was_stopped = true}).state, JobState::cancelled);
  EXPECT_EQ(judge(job, {.is_known = true, .exit_code = 0, .was_stopped = true}).state, JobState::done);
  EXPECT_EQ(judge(job, {}).state, JobState::cancelled);
}

TEST(JobWords, ATrainingGoesOnWithItsRunInPlaceOfSettingsAndWeights) {
  const std::filesystem::path run("/w/runs/a-1");
  EXPECT_THAT(words_to_start({"--threads", "2", "train", "rvc", "--dataset", "d", "--config", "c.toml", "--from=x.pth",
                              "--set", "trainer.epochs=3", "--epochs", "9"},
                             run),
              ElementsAre("--threads", "2", "train", "rvc", "--dataset", "d", "--set", "trainer.epochs=3", "--epochs",
                          "9", "--resume", "/w/runs/a-1"));
}

TEST(JobWords, EverythingElseStaysAsItIs) {
  const std::filesystem::path run("/w/runs/a-1");
  const Words train{"train", "rvc", "--config", "c.toml"};
  EXPECT_EQ(words_to_start(train, std::nullopt), train);
  for (const Words& words : {Words{"train", "rvc", "--resume", "b", "--epochs", "4"}, Words{"train", "--resume=b"},
                             Words{"convert", "train", "--config", "x"}, Words{"--threads", "train"}, Words{}}) {
    EXPECT_EQ(words_to_start(words, run), words);
  }
}

TEST(JobNote, ARunIsNotedInTheFolderOfItsJobBeforeItIsThere) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "job");
  const JobFiles files(folder / "job");
  EXPECT_EQ(run_of(files), std::nullopt);
  ::setenv(kJobFolderVariable, (folder / "job").c_str(), 1);
  const auto run = Run::create(folder.path(), "alice", "1", "", {});
  EXPECT_EQ(run_of(files), run.folder());
  // One that is there already is another's: it is not taken over.
  std::filesystem::remove(folder / "job/run.txt");
  (void)refusal_of(ErrorKind::usage, [&] { Run::create(folder.path(), "alice", "1", "", {}); });
  ::unsetenv(kJobFolderVariable);
  EXPECT_EQ(run_of(files), std::nullopt);
  write_file_atomically(folder / "job/run.txt", (folder / "runs/never-made").string());
  EXPECT_EQ(run_of(files), std::nullopt);
}

TEST(JobFiles, TheEndOfAnotherStartIsNone) {
  const TemporaryFolder folder;
  const JobFiles files(folder.path());
  EXPECT_FALSE(read_end(files, 1).is_known);
  write_end(files, 2, {.is_known = true, .exit_code = 143, .was_stopped = true});
  EXPECT_FALSE(read_end(files, 1).is_known);
  const auto end = read_end(files, 2);
  EXPECT_TRUE(end.is_known && end.was_stopped);
  EXPECT_EQ(end.exit_code, 143);
  write_file_atomically(files.end(), "{");
  EXPECT_FALSE(read_end(files, 2).is_known);
}

TEST(JobProgress, AnEpochIsAPartOfTheWholeTraining) {
  const TemporaryFolder folder;
  JobProgressSink(folder / "p.json").receive(ProgressEvent{"epoch 3/20", 5, 10, "batches", {}});
  const auto training = read_progress(folder / "p.json");
  ASSERT_TRUE(training);
  EXPECT_EQ(training->task, "epoch 3/20");
  EXPECT_DOUBLE_EQ(*training->fraction, 2.5 / 20);
  EXPECT_FALSE(training->seconds_left);  // one look is no rate
  JobProgressSink(folder / "q.json").receive(ProgressEvent{"reading", 5, 0, "files", {}});
  EXPECT_FALSE(read_progress(folder / "q.json")->fraction);
  EXPECT_FALSE(read_progress(folder / "none.json"));
}

TEST(JobProgress, WhatIsLeftFollowsFromTheRate) {
  const TemporaryFolder folder;
  JobProgressSink sink(folder / "p.json");
  sink.receive(ProgressEvent{"making features", 0, 4, "files", {}});
  // Every other second at most, so the second look is another stage.
  sink.receive(ProgressEvent{"epoch 1/2", 0, 2, "batches", {}});
  EXPECT_EQ(read_progress(folder / "p.json")->task, "epoch 1/2");
  sink.receive(ProgressEvent{"epoch 1/2", 1, 2, "batches", {}});
  EXPECT_EQ(*read_progress(folder / "p.json")->fraction, 0);
}

TEST(ProcessIdentity, IsThatOfARunningProcessAlone) {
  const auto self = ProcessIdentity::of(::getpid());
  EXPECT_TRUE(self.is_alive());
  EXPECT_FALSE((ProcessIdentity{self.pid, self.start_ticks + 1}.is_alive()));
  EXPECT_FALSE(ProcessIdentity{}.is_alive());
  const pid_t child = ::fork();
  if (child == 0) ::pause();
  const auto identity = ProcessIdentity::of(child);
  EXPECT_TRUE(identity.is_alive());
  ::kill(child, SIGKILL);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_FALSE(identity.is_alive());  // ended, and not waited for yet
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(identity.is_alive());
}

TEST(JobDevice, NamesAreChecked) {
  EXPECT_EQ(worker_device("cuda:1"), "cuda:1");
  EXPECT_EQ(job_device("cuda"), "cuda");
  EXPECT_EQ(job_device(""), "");
  EXPECT_EQ(visible_gpus("cuda:12"), "12");
  EXPECT_EQ(visible_gpus("cpu"), "");
  for (const auto* name : {"", "cuda", "gpu", "cuda:", "cuda:x", "cuda:1234", "cpu:0"}) {
    EXPECT_THAT(refusal_of(ErrorKind::usage, [&] { (void)worker_device(name); }), HasSubstr("is no device")) << name;
  }
}

}  // namespace
}  // namespace melisma
