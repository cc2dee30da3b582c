// `melisma sweep` as people run it: trainings that differ in settings, the best for longer, a leaderboard.
#include "tests/cli/in_process.h"
#include "tests/cli/training.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::melisma_in_process;
using testing::ProgramResult;
using testing::ProgramRun;
using Words = std::vector<std::string>;

class SweepCommand : public testing::Training {
 protected:
  void SetUp() override {
    testing::Training::SetUp();
    fs::create_directories(folder() / "temporary");
    ::setenv("TMPDIR", (folder() / "temporary").c_str(), 1);  // where workers lock their devices
  }
  void TearDown() override { ::unsetenv("TMPDIR"); }
  // A process of its own: jobs are started with the program's own file.
  static ProgramResult program(const Words& more) { return ProgramRun(folder(), more).finish(); }
  static ProgramResult sweep(Words more) {
    more.insert(more.begin(), "sweep");
    return program(more);
  }
  static nlohmann::json json(const Words& more) { return nlohmann::json::parse(program(more).out); }
};

TEST_F(SweepCommand, HalvingTrainsTheBestForLongerAndTestsItBesideTheBaseline) {
  const Words words{"run",       "--name",      "lr",
                    "--dataset", "mara",        "--config",
                    "tiny.toml", "--over",      "generator_optimizer.lr=1e-5..1e-2:log",
                    "--method",  "halving",     "--trials",
                    "2",         "--reduction", "2",
                    "--worker",  "cpu",         "--json"};
  const auto result = sweep(words);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto board = nlohmann::json::parse(result.out);
  EXPECT_EQ(board["rungs"].dump(), R"([{"epochs":1,"trials":2},{"epochs":2,"trials":1}])");
  ASSERT_EQ(board["trials"].size(), 3u);
  for (const auto& trial : board["trials"]) {
    const bool is_tested = trial["is_baseline"] || trial["trial"] == board["winner"];
    EXPECT_EQ(trial["state"], is_tested ? "done" : "dropped");
    EXPECT_EQ(trial["epochs"], is_tested ? 2 : 1);
    EXPECT_GT(trial["held_out"], 0);
    EXPECT_EQ(trial["test"].is_null(), !is_tested);
    EXPECT_TRUE(!is_tested || trial["test"]["mean"] > 0);
  }
  // The dataset remembers both openings of its test split.
  EXPECT_EQ(json({"dataset", "info", "mara", "--json"})["test_openings"].size(), 2u);
  EXPECT_THAT(read_file(folder() / "melisma-workspace/sweeps/lr/leaderboard.html"), HasSubstr("Sweep lr"));

  // The same again finds it done.
  const auto n_jobs = json({"jobs", "list", "--json"}).size();
  EXPECT_EQ(n_jobs, 6u);
  EXPECT_EQ(sweep(words).out, result.out);
  EXPECT_EQ(sweep({"continue", "lr", "--worker", "cpu"}).exit_code, 0);
  EXPECT_EQ(json({"jobs", "list", "--json"}).size(), n_jobs);
  EXPECT_THAT(sweep({"show", "lr"}).out, HasSubstr("so that number flatters it"));
  EXPECT_THAT(sweep({"list"}).out, HasSubstr("lr\n"));
  EXPECT_EQ(sweep({"report", "lr", "-o", "page.html"}).out, "page.html\n");
  EXPECT_TRUE(fs::exists(folder() / "page.html"));
  EXPECT_THAT(sweep({"run", "--name", "lr", "--dataset", "mara", "--over", "losses.mel=1,2"}).err,
              HasSubstr("melisma: usage: sweep 'lr' is there already with other settings"));
}

TEST_F(SweepCommand, MistakesAreSaidBeforeAnythingIsQueued) {
  const auto refused = [&](const Words& more) {
    Words words{"--workspace", (folder() / "other").string(), "sweep", "run", "--name", "x", "--dataset", "mara"};
    words.insert(words.end(), more.begin(), more.end());
    const auto result = melisma_in_process(words);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_FALSE(fs::exists(folder() / "other"));
    return result.err;
  };
  EXPECT_THAT(refused({"--over", "trainer.epoch=1,2"}), HasSubstr("trainer.epochs"));
  EXPECT_THAT(refused({"--over", "losses.mel=-1,45,x"}), AllOf(HasSubstr("losses.mel=-1"), HasSubstr("losses.mel=x")));
  EXPECT_THAT(refused({}), HasSubstr("needs something to vary"));
  EXPECT_THAT(refused({"--over", "losses.mel=1..2"}), HasSubstr("a grid needs values"));
  EXPECT_THAT(refused({"--over", "losses.mel=1,2", "--method", "gird"}), HasSubstr("grid"));
  EXPECT_THAT(refused({"--over", "losses.mel=1,2", "--trials", "0"}), HasSubstr("between 1 and"));
  EXPECT_THAT(refused({"--over", "losses.mel=1,2", "--recipe", "rvd"}), HasSubstr("unknown recipe 'rvd'"));
  EXPECT_THAT(refused({"--over", "losses.mel=1,2", "--set", "losses.kl=-1"}), HasSubstr("losses.kl"));
}

TEST_F(SweepCommand, AFileSaysWhatASweepIs) {
  write_file_atomically(
      folder() / "s.toml",
      "[sweep]\nname = \"from-file\"\ndataset = \"mara\"\nconfig = \"tiny.toml\"\n[over]\nlosses.mel = "
      "[15, 45]\n");
  const auto checked = melisma_in_process({"config", "check", (folder() / "s.toml").string(), "--task", "sweep"});
  EXPECT_THAT(checked.out, HasSubstr("is fine for sweep: grid over losses.mel"));
  const auto result = sweep({"run", "s.toml", "--submit"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto jobs = json({"jobs", "list", "--group", "sweep from-file", "--json"});
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_THAT(jobs[2]["words"].dump(), HasSubstr("losses.mel=45"));
  EXPECT_THAT(sweep({"show", "from-file"}).out, HasSubstr("queued"));
  for (const auto& job : jobs) EXPECT_EQ(program({"jobs", "cancel", job["id"].dump()}).exit_code, 0);
}

}  // namespace
}  // namespace melisma
