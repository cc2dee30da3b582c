#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "experiments/runs/run.h"
#include "tests/cli/in_process.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/metrics_file.h"

namespace melisma {
namespace {

using ::testing::HasSubstr;
using testing::melisma_in_process;

// A workspace with an overtrained run "alice" and a fresh run "bob".
struct TwoRuns {
  testing::TemporaryFolder workspace;
  TwoRuns() {
    const auto alice = Run::create(workspace.path(), "alice", "0a1b2c3d", "seed = 1\n[trainer]\nepochs = 3\n",
                                   {{"commit", "abc"}, {"dataset", {{"hash", "d1"}}}});
    alice.set_status({.state = "overtrained",
                      .reason = "no improvement since epoch 2",
                      .epoch = 4,
                      .step = 80,
                      .best_epoch = 2,
                      .best_score = 0.8123,
                      .metric = "mel_distance"});
    std::filesystem::create_directories(alice.checkpoints() / "epoch-0002-step-000040");
    write_file_atomically(alice.checkpoints() / "epoch-0002-step-000040" / "DONE", "");
    std::filesystem::create_directories(alice.checkpoints() / "epoch-0003-step-000060");  // unfinished
    MetricsFileSink(alice.metrics())
        .receive(ScalarsEvent{.step = 80, .epoch = 4, .phase = "train", .values = {{"loss/mel", 1.5}}});
    Run::create(workspace.path(), "bob", "11112222", "seed = 2\n[trainer]\nepochs = 3\n",
                {{"commit", "abc"}, {"dataset", {{"hash", "d2"}}}});
  }
  testing::InProcessResult runs(std::vector<std::string> words) const {
    words.insert(words.begin(), {"--workspace", workspace.path().string(), "runs"});
    return melisma_in_process(std::move(words));
  }
  [[nodiscard]] nlohmann::json json(std::vector<std::string> words) const {
    words.push_back("--json");
    return nlohmann::json::parse(runs(std::move(words)).out);
  }
};

TEST(RunsCommand, ListsRunsWithStateAndBest) {
  const TwoRuns world;
  const auto listed = world.runs({"list"});
  EXPECT_EQ(listed.exit_code, 0);
  EXPECT_THAT(listed.out, HasSubstr("alice-0a1b2c3d  overtrained      4    80  0.8123 at epoch 2  mel_distance"));
  EXPECT_EQ(world.json({"list"}).size(), 2u);
}

TEST(RunsCommand, AnEmptyWorkspaceIsNoError) {
  const auto listed = melisma_in_process({"--workspace", "/nowhere", "runs", "list"});
  EXPECT_EQ(listed.exit_code, 0);
  EXPECT_EQ(listed.out, "no runs in '/nowhere' yet; melisma train makes one\n");
}

TEST(RunsCommand, ADamagedStatusHidesNoOtherRun) {
  const TwoRuns world;
  write_file_atomically(Run::open(world.workspace.path(), "bob").folder() / "status.json", "{");
  const auto listed = world.json({"list"});
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[1]["status"]["state"], "damaged");
}

TEST(RunsCommand, ShowsStateCheckpointsNumbersAndCircumstances) {
  const TwoRuns world;
  const auto shown = world.runs({"show", "alice"}).out;
  for (const auto* part : {"overtrained: no improvement since epoch 2", "0.8123 at epoch 2, mel_distance",
                           "checkpoints   epoch-0002-step-000040\n", "step 80: loss/mel 1.5", "dataset.hash  d1"}) {
    EXPECT_THAT(shown, HasSubstr(part));
  }
  const auto json = world.json({"show", "alice"});
  EXPECT_EQ(json["settings"]["trainer.epochs"], "3");
  EXPECT_EQ(json["latest"]["train"]["values"]["loss/mel"], 1.5);
  EXPECT_EQ(json["manifest"]["commit"], "abc");
}

TEST(RunsCommand, DiffNamesWhatDiffersAndNothingElse) {
  const TwoRuns world;
  const auto json = world.json({"diff", "alice", "bob"});
  ASSERT_EQ(json["settings"].size(), 1u);
  EXPECT_EQ(json["settings"][0]["path"], "seed");
  ASSERT_EQ(json["manifest"].size(), 1u);
  EXPECT_EQ(json["manifest"][0]["right"], "d2");
  EXPECT_THAT(world.runs({"diff", "alice", "bob"}).out, HasSubstr("dataset.hash"));
}

TEST(RunsCommand, ATypoGetsASuggestion) {
  const TwoRuns world;
  const auto shown = world.runs({"show", "alcie"});
  EXPECT_EQ(shown.exit_code, 2);
  EXPECT_EQ(shown.err, "melisma: usage: unknown run 'alcie'; did you mean 'alice'? known: alice, bob\n");
}

}  // namespace
}  // namespace melisma
