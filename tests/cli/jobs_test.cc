// `melisma jobs` as people run it: submitted, worked off, watched, killed, taken up again.
#include <signal.h>

#include "tests/cli/in_process.h"
#include "tests/cli/training.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::GoldenFile;
using ::testing::HasSubstr;
using testing::melisma_in_process;
using testing::ProgramResult;
using testing::ProgramRun;
using ::testing::StartsWith;
using testing::TemporaryFolder;
using Words = std::vector<std::string>;

Words joined(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// Workers' locks on devices lie in a folder of this test's own.
class LocksOfItsOwn {
 public:
  explicit LocksOfItsOwn(const fs::path& folder) {
    fs::create_directories(folder);
    ::setenv("TMPDIR", folder.c_str(), 1);
  }
  ~LocksOfItsOwn() { ::unsetenv("TMPDIR"); }
};

class JobsCommand : public ::testing::Test {
 protected:
  [[nodiscard]] Words words(const Words& more) const {
    return joined({"--workspace", (folder / "w").string(), "jobs"}, more);
  }
  [[nodiscard]] testing::InProcessResult jobs(const Words& more) const { return melisma_in_process(words(more)); }
  [[nodiscard]] nlohmann::json json(const Words& more) const {
    return nlohmann::json::parse(jobs(joined(more, {"--json"})).out);
  }
  [[nodiscard]] ProgramResult program(const Words& more) const {
    return testing::run_program(folder.path(), words(more));
  }

  TemporaryFolder folder;
  LocksOfItsOwn locks{folder / "temporary"};
};

TEST_F(JobsCommand, ASubmittedCommandRunsInItsFolderAndItsLogIsKept) {
  const auto submitted = program({"submit", "--name", "my look", "--", "runs", "list"});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  EXPECT_EQ(submitted.out, "job 1\n");
  EXPECT_THAT(jobs({"list"}).out, HasSubstr("  1  queued  my look"));
  const auto worked = program({"worker", "--until-empty"});
  EXPECT_EQ(worked.exit_code, 0) << worked.err;
  EXPECT_THAT(worked.err, HasSubstr("job 1 (my look): done after "));
  const auto shown = json({"show", "1"});
  EXPECT_EQ(shown["state"], "done");
  EXPECT_EQ(shown["words"], (Words{"runs", "list"}));
  EXPECT_EQ(shown["folder"], fs::canonical(folder.path()).string());
  EXPECT_EQ(shown["exit_code"], 0);
  const auto log = jobs({"log", "1"});
  EXPECT_THAT(log.out, StartsWith("== job 1, start 1, on cpu, "));
  EXPECT_THAT(log.out, HasSubstr("no runs in '" + (folder / "w").string() + "' yet"));
  EXPECT_EQ(jobs({"log", "1", "--follow"}).out, log.out);
}

TEST_F(JobsCommand, WordsOfAJobAreCheckedBeforeItIsQueued) {
  const auto refused = [&](const Words& job) {
    const auto result = jobs(joined({"submit", "--"}, job));
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  EXPECT_THAT(refused({"trian", "rvc"}), HasSubstr("unknown command 'trian'; did you mean 'train'?"));
  EXPECT_THAT(refused({"train", "rvc", "--epoch", "3"}),
              HasSubstr("unknown option '--epoch'; did you mean '--epochs'"));
  EXPECT_THAT(refused({"evaluate", "x"}), HasSubstr("--dataset is required"));
  EXPECT_THAT(refused({"train", "--help"}), HasSubstr("only asks for help"));
  EXPECT_THAT(jobs({"submit"}).err, HasSubstr("words is required"));
  EXPECT_FALSE(fs::exists(folder / "w"));
}

TEST_F(JobsCommand, WhatIsWrongIsOneLine) {
  const auto refused = [&](const Words& more, int exit_code) {
    const auto result = jobs(more);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
    return result.err;
  };
  EXPECT_THAT(refused({"show", "1"}, 2), HasSubstr("melisma: usage: there are no jobs in"));
  ASSERT_EQ(jobs({"submit", "--", "runs", "list"}).exit_code, 0);
  EXPECT_THAT(refused({"show", "7"}, 2), HasSubstr("there is no job 7 in"));
  EXPECT_THAT(refused({"retry", "1"}, 2), HasSubstr("job 1 is queued; what can be retried"));
  EXPECT_THAT(refused({"list", "--state", "qeued"}, 2), HasSubstr("did you mean 'queued'"));
  EXPECT_THAT(refused({"submit", "--after", "9", "--", "runs", "list"}, 2), HasSubstr("there is no job 9"));
  EXPECT_THAT(refused({"submit", "--device", "gpu", "--", "runs", "list"}, 2), HasSubstr("'gpu' is no device"));
  EXPECT_THAT(refused({"worker", "--device", "cuda"}, 2), HasSubstr("'cuda' is no device of a worker"));
  EXPECT_THAT(refused({"submit", "--set", "engine=slrm", "--", "runs", "list"}, 2), HasSubstr("slrm"));
  EXPECT_THAT(refused({"worker", "--set", "grace=3 epochs"}, 2), HasSubstr("grace is a time"));
  EXPECT_EQ(json({"list"}).size(), 1u);
}

TEST_F(JobsCommand, ADamagedQueueIsNamed) {
  fs::create_directories(folder / "w");
  write_file_atomically(folder / "w/workspace.db", std::string(5000, 'x'));
  const auto result = jobs({"list"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, AllOf(StartsWith("melisma: data: '"), HasSubstr("workspace.db' is no database or damaged")));
}

TEST_F(JobsCommand, LookingMakesNoQueue) {
  EXPECT_THAT(jobs({"list"}).out, HasSubstr("no jobs in '"));
  EXPECT_EQ(json({"list"}).size(), 0u);
  EXPECT_FALSE(fs::exists(folder / "w"));
}

TEST_F(JobsCommand, WhatWasToRunAfterAFailureSaysSo) {
  ASSERT_EQ(jobs({"submit", "--", "runs", "show", "nobody"}).exit_code, 0);
  ASSERT_EQ(jobs({"submit", "--after", "1", "--", "runs", "list"}).exit_code, 0);
  EXPECT_THAT(jobs({"list"}).out, HasSubstr("after 1"));
  EXPECT_EQ(program({"worker", "--until-empty"}).exit_code, 0);
  const auto listed = json({"list"});
  EXPECT_EQ(listed[0]["reason"], "exit code 2");
  EXPECT_EQ(listed[1]["state"], "skipped");
  EXPECT_EQ(listed[1]["reason"], "job 1, which it was to run after, failed");
  EXPECT_THAT(jobs({"log", "1"}).out, HasSubstr("melisma: usage: no run 'nobody'"));
  EXPECT_EQ(jobs({"retry", "1"}).out, "job 1: queued\n");
  EXPECT_EQ(json({"list", "--state", "queued"}).size(), 2u);
  EXPECT_EQ(jobs({"cancel", "1"}).out, "job 1: cancelled\n");
}

TEST_F(JobsCommand, SettingsOfTheWorkspaceAreUsed) {
  fs::create_directories(folder / "w");
  write_file_atomically(folder / "w/jobs.toml", "retries = 7\n");
  ASSERT_EQ(jobs({"submit", "--", "runs", "list"}).exit_code, 0);
  ASSERT_EQ(jobs({"submit", "--set", "retries=2", "--", "runs", "list"}).exit_code, 0);
  EXPECT_EQ(json({"show", "1"})["retries"], 7);
  EXPECT_EQ(json({"show", "2"})["retries"], 2);
  write_file_atomically(folder / "w/jobs.toml", "retris = 7\n");
  EXPECT_THAT(jobs({"submit", "--", "runs", "list"}).err, HasSubstr("retris"));
}

// Trainings as jobs.
class JobsTraining : public testing::Training {
 protected:
  void SetUp() override {
    testing::Training::SetUp();
    locks_ = std::make_unique<LocksOfItsOwn>(folder() / "temporary");
  }
  void TearDown() override { locks_.reset(); }
  static ProgramResult jobs(const Words& more) { return testing::run_program(folder(), joined({"jobs"}, more)); }
  static nlohmann::json shown(const std::string& id) { return nlohmann::json::parse(jobs({"show", id, "--json"}).out); }
  static std::string submit(const Words& job) {
    const auto result = jobs(joined({"submit", "--json", "--"}, job));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return std::to_string(nlohmann::json::parse(result.out)["id"].get<int>());
  }

 private:
  std::unique_ptr<LocksOfItsOwn> locks_;
};

TEST_F(JobsTraining, AKilledWorkersTrainingGoesOnFromItsLastCheckpointToTheSameWeights) {
  const Words six{"--epochs", "6"};
  ASSERT_EQ(train_tiny("whole", six).exit_code, 0);
  const auto id = submit(tiny_words("killed", six));
  {
    ProgramRun worker(folder(), {"jobs", "worker"});
    ASSERT_TRUE(worker.wait_until([] { return has_checkpoint("killed"); })) << worker.err();
    const auto running = shown(id);
    EXPECT_EQ(running["state"], "running");
    EXPECT_THAT(running["progress"].dump(), HasSubstr("epoch "));
    ::kill(worker.pid(), SIGKILL);
  }
  const auto worked = jobs({"worker", "--until-empty"});
  ASSERT_EQ(worked.exit_code, 0) << worked.err;
  const auto done = shown(id);
  EXPECT_EQ(done["state"], "done") << read_file(done["log"].get<std::string>());
  EXPECT_EQ(done["starts"], 2);
  EXPECT_EQ(done["run"], run_folder("killed").string());
  EXPECT_THAT(read_file(done["log"].get<std::string>()), HasSubstr("--resume " + run_folder("killed").string()));
  EXPECT_EQ(status("killed")["state"], "finished");
  const auto whole = GoldenFile::load(checkpoint("whole") / "model.safetensors");
  const auto killed = GoldenFile::load(checkpoint("killed") / "model.safetensors");
  ASSERT_EQ(whole.tensors.size(), killed.tensors.size());
  for (const auto& [name, tensor] : whole.tensors) EXPECT_EQ(tensor.values, killed.at(name).values) << name;
}

TEST_F(JobsTraining, ACancelledTrainingSavesAndAStoppedWorkerPutsItsTrainingBack) {
  const auto first = submit(tiny_words("first", {"--epochs", "50"}));
  const auto second = submit(tiny_words("second", {"--epochs", "50"}));
  ProgramRun worker(folder(), {"jobs", "worker"});
  ASSERT_TRUE(worker.wait_until([] { return has_checkpoint("first"); })) << worker.err();
  EXPECT_EQ(jobs({"cancel", first}).out, "job " + first + ": told to stop\n");
  ASSERT_TRUE(worker.wait_until([] { return has_checkpoint("second"); })) << worker.err();
  EXPECT_EQ(shown(first)["state"], "cancelled");
  EXPECT_EQ(status("first")["state"], "interrupted");
  ::kill(worker.pid(), SIGTERM);
  EXPECT_EQ(worker.finish().exit_code, 143);
  EXPECT_EQ(shown(second)["state"], "queued");
  EXPECT_EQ(status("second")["state"], "interrupted");
}

}  // namespace
}  // namespace melisma
