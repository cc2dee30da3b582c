// The queue by itself: turns, dependencies, cancelling, retrying, several processes at once.
#include "experiments/jobs/job_queue.h"

#include <algorithm>
#include <fstream>
#include <set>

#include "tests/experiments/jobs/workplace.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal_of;

class JobQueueTest : public testing::Workplace {
 protected:
  JobQueue queue() const { return JobQueue(workspace()); }
  // Claims the next job of `device` and ends it with `exit_code`; 0 if there is none.
  JobId run_next(int exit_code = 0, const std::string& device = "cpu") const {
    auto queue = this->queue();
    const auto claimed = queue.claim(device);
    if (!claimed) return 0;
    queue.end(claimed->job, {.is_known = true, .exit_code = exit_code});
    return claimed->job.id;
  }
  JobId submit_after(std::vector<JobId> after) const {
    auto wanted = request("true");
    wanted.after = std::move(after);
    return submit(wanted);
  }
};

TEST_F(JobQueueTest, KeepsARequestAsItWas) {
  JobRequest wanted{.words = {"train", "rvc", "--set", "a.b=\"x y\"", "é\n"},
                    .folder = place(),
                    .name = "training of é",
                    .group = "sweep lr",
                    .device = "cuda:1",
                    .priority = -3,
                    .retries = 2,
                    .backoff_seconds = 1.5};
  const auto first = submit("true");
  wanted.after = {first};
  const auto kept = job(submit(wanted));
  EXPECT_EQ(kept.request.words, wanted.words);
  EXPECT_EQ(kept.request.folder, wanted.folder);
  EXPECT_EQ(kept.request.name, wanted.name);
  EXPECT_EQ(kept.request.group, wanted.group);
  EXPECT_EQ(kept.request.device, wanted.device);
  EXPECT_EQ(kept.request.priority, wanted.priority);
  EXPECT_EQ(kept.request.after, wanted.after);
  EXPECT_EQ(kept.request.retries, wanted.retries);
  EXPECT_EQ(kept.request.backoff_seconds, wanted.backoff_seconds);
  EXPECT_EQ(kept.state, JobState::queued);
  EXPECT_EQ(kept.engine, "local");
  EXPECT_GT(kept.submitted, 1.7e9);
}

TEST_F(JobQueueTest, MorePriorityComesFirstThenWhoCameFirst) {
  for (const auto priority : {0, 5, 0, 7}) {
    auto wanted = request("true");
    wanted.priority = priority;
    submit(wanted);
  }
  std::vector<JobId> order;
  while (const auto id = run_next()) order.push_back(id);
  EXPECT_THAT(order, ElementsAre(4, 2, 1, 3));
}

TEST_F(JobQueueTest, AJobRunsOnTheDeviceThatItAskedFor) {
  for (const auto* device : {"cuda", "cpu", "cuda:1", ""}) {
    auto wanted = request("true");
    wanted.device = device;
    submit(wanted);
  }
  EXPECT_EQ(run_next(0, "cpu"), 2);
  EXPECT_EQ(run_next(0, "cuda:0"), 1);
  EXPECT_EQ(run_next(0, "cpu"), 4);
  EXPECT_EQ(run_next(0, "cuda:0"), 0);
  EXPECT_EQ(run_next(0, "cuda:1"), 3);
}

TEST_F(JobQueueTest, AJobWaitsForThoseItIsToRunAfter) {
  const auto first = submit("true"), second = submit("true");
  auto last = request("true");
  last.after = {first, second};
  last.priority = 99;
  submit(last);
  EXPECT_EQ(run_next(), 1);
  EXPECT_EQ(run_next(), 2);
  EXPECT_EQ(run_next(), 3);
}

TEST_F(JobQueueTest, WhatWasToRunAfterAFailureIsSkippedAndSaysWhy) {
  const auto first = submit("true");
  const auto second = submit_after({first}), third = submit_after({second}), other = submit("true");
  EXPECT_EQ(run_next(3), first);
  EXPECT_EQ(job(first).reason, "exit code 3");
  EXPECT_EQ(job(second).state, JobState::skipped);
  EXPECT_EQ(job(second).reason, "job 1, which it was to run after, failed");
  EXPECT_EQ(job(third).reason, "job 2, which it was to run after, was skipped");
  EXPECT_EQ(job(other).state, JobState::queued);
  EXPECT_EQ(refusal_of(ErrorKind::usage, [&] { queue().retry(third); }),
            "job 3 is to run after job 2, which was skipped; melisma jobs retry 2 first");
  queue().retry(first);
  for (const auto id : {first, second, third}) EXPECT_EQ(job(id).state, JobState::queued);
  EXPECT_EQ(run_next(), first);
  EXPECT_EQ(run_next(), second);
}

TEST_F(JobQueueTest, RetryLeavesSkippedWhatAnotherFailureHolds) {
  const auto a = submit("true"), b = submit("true");
  const auto both = submit_after({a, b});
  run_next(3);
  run_next(3);
  queue().retry(a);
  EXPECT_EQ(job(both).state, JobState::skipped);
  EXPECT_EQ(job(both).reason, "job 2, which it was to run after, failed");
  queue().retry(b);
  EXPECT_EQ(job(both).state, JobState::queued);
}

TEST_F(JobQueueTest, AFailureThatMayPassWaitsForItsTurn) {
  auto wanted = request("true");
  wanted.retries = 1;
  wanted.backoff_seconds = 3000;
  const auto id = submit(wanted);
  run_next(5);
  EXPECT_EQ(job(id).state, JobState::queued);
  EXPECT_EQ(job(id).failures, 1);
  EXPECT_NEAR(job(id).not_before - seconds_now(), 3000, 60);
  EXPECT_EQ(run_next(), 0);
  EXPECT_TRUE(queue().has_work_for("cpu"));
  queue().cancel(id);
  queue().retry(id);
  EXPECT_EQ(run_next(), id);
}

TEST_F(JobQueueTest, HasWorkForADeviceOnlyWhereSomethingWillComeUpThere) {
  auto on_gpu = request("true");
  on_gpu.device = "cuda";
  const auto gpu = submit(on_gpu);
  submit_after({gpu});
  EXPECT_FALSE(queue().has_work_for("cpu"));  // nobody works on the GPU
  EXPECT_TRUE(queue().has_work_for("cuda:0"));
  auto owner = queue();
  const auto claimed = owner.claim("cuda:0");
  EXPECT_TRUE(queue().has_work_for("cpu"));
  owner.end(claimed->job, {.is_known = true, .exit_code = 3});
  EXPECT_FALSE(queue().has_work_for("cpu"));
}

TEST_F(JobQueueTest, RefusesWhatMakesNoSense) {
  const auto bad = submit("true"), good = submit("true");
  run_next(3);
  run_next(0);
  const auto refused = [&](const std::function<void()>& action) { return refusal_of(ErrorKind::usage, action); };
  EXPECT_THAT(refused([&] { submit_after({99}); }), HasSubstr("there is no job 99 in"));
  EXPECT_THAT(refused([&] { submit_after({bad}); }), HasSubstr("job 1 was failed, so nothing can run after it"));
  EXPECT_THAT(refused([&] { queue().cancel(good); }), HasSubstr("job 2 is done already"));
  EXPECT_THAT(refused([&] { queue().retry(good); }), HasSubstr("job 2 is done; what can be retried"));
  EXPECT_EQ(queue().list().size(), 2u);  // nothing was half submitted
}

TEST_F(JobQueueTest, RequestsOfOneCallMayRunAfterEachOther) {
  auto second = request("true");
  second.after = {-1};
  const std::vector<JobRequest> both{request("true"), second};
  EXPECT_THAT(queue().submit("local", both), ElementsAre(1, 2));
  EXPECT_THAT(job(2).request.after, ElementsAre(1));
}

TEST_F(JobQueueTest, CancellingARunningJobIsAskedOfWhoeverRunsIt) {
  const auto id = submit("true");
  auto owner = queue();
  const auto claimed = owner.claim("cpu");
  queue().cancel(id);
  EXPECT_EQ(job(id).state, JobState::running);
  EXPECT_TRUE(owner.is_cancelling(id));
  owner.end(claimed->job, {.is_known = true, .exit_code = 143, .was_stopped = true});
  EXPECT_EQ(job(id).state, JobState::cancelled);
}

TEST_F(JobQueueTest, ListsByStateAndGroup) {
  auto grouped = request("true");
  grouped.group = "sweep";
  submit(grouped);
  submit("true");
  run_next();
  EXPECT_EQ(queue().list({.states = {JobState::done}}).size(), 1u);
  EXPECT_EQ(queue().list({.group = "sweep"}).front().id, 1);
  EXPECT_EQ(queue().list({.engine = "slurm"}).size(), 0u);
  EXPECT_THAT(refusal_of(ErrorKind::usage, [] { (void)job_state_named("runing"); }), HasSubstr("'running'"));
}

TEST_F(JobQueueTest, FourProcessesThatTakeJobsTakeEachOnce) {
  constexpr int kJobs = 60;
  for (int i = 0; i < kJobs; ++i) submit("true");
  std::vector<pid_t> workers;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        std::ofstream taken(place() / std::to_string(i));
        while (const auto id = run_next()) taken << id << "\n" << std::flush;
        ::_exit(0);
      } catch (const std::exception&) {
        ::_exit(1);
      }
    }
    workers.push_back(child);
  }
  std::multiset<int> taken;
  for (int i = 0; i < 4; ++i) {
    int status = 0;
    ::waitpid(workers[static_cast<std::size_t>(i)], &status, 0);
    EXPECT_EQ(status, 0);
    std::ifstream file(place() / std::to_string(i));
    for (int id = 0; file >> id;) taken.insert(id);
  }
  EXPECT_EQ(taken.size(), static_cast<std::size_t>(kJobs));
  EXPECT_EQ((std::set<int>(taken.begin(), taken.end()).size()), static_cast<std::size_t>(kJobs));
}

TEST_F(JobQueueTest, TenThousandJobsAreListedWhole) {
  std::vector<JobRequest> many(10000, request("true"));
  many[9999].after = {-1, -9999};
  (void)queue().submit("local", many);
  const auto jobs = queue().list();
  ASSERT_EQ(jobs.size(), 10000u);
  EXPECT_THAT(jobs.back().request.after, ElementsAre(1, 9999));
}

}  // namespace
}  // namespace melisma
