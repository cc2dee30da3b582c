#include "train/engine/checkpoint.h"

#include <ATen/Parallel.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/train/engine/tiny_gan.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/seed.h"

namespace melisma {
namespace {
using testing::TemporaryFolder;
using testing::TinyRun;
namespace fs = std::filesystem;

// A run folder without training: save("epoch", score) as the trainer would, names() as what is there.
struct Shelf {
  explicit Shelf(fs::path where, CheckpointConfig config = {}, std::string run = "mine")
      : folder(std::move(where)), config_(config), run_(std::move(run)) {
    reopen();
  }
  void reopen() {
    store.reset();
    store = std::make_unique<CheckpointStore>(folder, config_, run_);
  }
  void save(std::int64_t epoch, std::optional<double> score = {}, bool is_milestone = false) {
    store->write(
        {.epoch = epoch, .step = epoch * 10, .score = score, .is_milestone = is_milestone},
        [&](const fs::path& there) { write_file_atomically(there / "weights", "of epoch " + std::to_string(epoch)); });
  }
  [[nodiscard]] std::vector<std::int64_t> epochs_there() const {
    std::vector<std::int64_t> found;
    for (const auto& entry : list_checkpoints(folder)) found.push_back(entry.epoch);
    std::sort(found.begin(), found.end());
    return found;
  }
  [[nodiscard]] nlohmann::json index() const { return testing::load_json(folder / "index.json"); }
  [[nodiscard]] std::string message_of(const std::function<void()>& action) const {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  fs::path folder;
  std::unique_ptr<CheckpointStore> store;

 private:
  CheckpointConfig config_;
  std::string run_;
};
using Epochs = std::vector<std::int64_t>;

TEST(Checkpoints, KeepTheLastTheBestAndTheMilestones) {
  const TemporaryFolder folder;
  Shelf shelf(folder / "c", {.keep_best = 2, .keep_last = 1});
  shelf.save(1, 0.9);
  shelf.save(2, 0.5);
  shelf.save(3, 0.7, /*is_milestone=*/true);
  shelf.save(4, 0.6);
  shelf.save(5, 0.8);
  shelf.save(6, 0.9);
  EXPECT_EQ(shelf.epochs_there(), (Epochs{2, 3, 4, 6}));
  const auto list = shelf.index()["checkpoints"];
  EXPECT_EQ(list[0]["kept"], (std::vector<std::string>{"best"}));
  EXPECT_EQ(list[1]["kept"], (std::vector<std::string>{"every"}));
  EXPECT_EQ(list[3]["kept"], (std::vector<std::string>{"last"}));
  EXPECT_EQ(shelf.store->choose("best").epoch, 2);
  EXPECT_EQ(shelf.store->choose("last").epoch, 6);
}

TEST(Checkpoints, TheNewestStaysEvenWhenNothingIsToBeKept) {
  const TemporaryFolder folder;
  Shelf shelf(folder / "c", {.keep_best = 0, .keep_last = 1});
  shelf.save(1);
  shelf.save(2);
  EXPECT_EQ(shelf.epochs_there(), (Epochs{2}));
}

TEST(Checkpoints, OfOtherRunsAreLeftAlone) {
  const TemporaryFolder folder;
  {
    Shelf other(folder / "c", {}, "other");
    other.save(7, 0.1);
  }
  fs::create_directories(folder / "c/epoch-notes");
  Shelf shelf(folder / "c", {.keep_best = 0, .keep_last = 1});
  shelf.save(1);
  shelf.save(2);
  EXPECT_EQ(shelf.epochs_there(), (Epochs{2, 7}));
  EXPECT_EQ(shelf.store->entries().size(), 1u);
  EXPECT_TRUE(fs::exists(folder / "c/epoch-notes"));
}

TEST(Checkpoints, IncompleteFoldersAreIgnoredAndCleaned) {
  const TemporaryFolder folder;
  Shelf shelf(folder / "c");
  shelf.save(1);
  fs::create_directories(folder / "c/epoch-0002-step-000020");
  fs::create_directories(folder / "c/epoch-0002-step-000020.77.tmp");
  EXPECT_EQ(shelf.epochs_there(), (Epochs{1}));
  shelf.reopen();
  EXPECT_FALSE(fs::exists(folder / "c/epoch-0002-step-000020"));
  EXPECT_FALSE(fs::exists(folder / "c/epoch-0002-step-000020.77.tmp"));
}

TEST(Checkpoints, AReplacementCutBetweenItsRenamesIsFinished) {
  const TemporaryFolder folder;
  Shelf shelf(folder / "c");
  shelf.save(1);
  fs::rename(folder / "c/epoch-0001-step-000010", folder / "c/epoch-0001-step-000010.77.tmp.old");
  shelf.reopen();
  EXPECT_EQ(shelf.store->choose("last").epoch, 1);
}

TEST(Checkpoints, ALostIndexIsRebuilt) {
  const TemporaryFolder folder;
  Shelf shelf(folder / "c", {.keep_last = 3});
  shelf.save(1, 0.3);
  shelf.save(2, 0.2);
  const auto before = shelf.index();
  fs::remove(folder / "c/index.json");
  shelf.reopen();
  EXPECT_EQ(shelf.index(), before);
}

TEST(Checkpoints, ATruncatedFileIsNamedWithWhatToDo) {
  const TemporaryFolder folder;
  Shelf shelf(folder / "c");
  shelf.save(1);
  const auto file = folder / "c/epoch-0001-step-000010/weights";
  fs::resize_file(file, 4);
  EXPECT_EQ(shelf.message_of([&] { verify_checkpoint(shelf.store->choose("last")); }),
            "checkpoint: '" + file.string() +
                "' is damaged: it has 4 bytes, expected 10; nothing was changed. Name another checkpoint "
                "(--resume-epoch K when training, --epoch K when extracting), or restore this one from a copy");
}

TEST(Checkpoints, AChangedByteIsNoticed) {
  const TemporaryFolder folder;
  Shelf shelf(folder / "c");
  shelf.save(1);
  std::ofstream(folder / "c/epoch-0001-step-000010/weights") << "of epoch 9";
  EXPECT_NE(shelf.message_of([&] { verify_checkpoint(shelf.store->choose("last")); }).find("differs from its hash"),
            std::string::npos);
}

TEST(Checkpoints, AMissingFileIsNoticed) {
  const TemporaryFolder folder;
  Shelf shelf(folder / "c");
  shelf.save(1);
  fs::remove(folder / "c/epoch-0001-step-000010/weights");
  EXPECT_NE(shelf.message_of([&] { verify_checkpoint(shelf.store->choose("last")); }).find("it is missing"),
            std::string::npos);
}

TEST(Checkpoints, ANewestOneWithoutAReadableListIsAnErrorAndNotSkipped) {
  const TemporaryFolder folder;
  Shelf shelf(folder / "c", {.keep_last = 3});
  shelf.save(1);
  shelf.save(2);
  std::ofstream(folder / "c/epoch-0002-step-000020/DONE") << "{";
  shelf.reopen();
  EXPECT_NE(shelf.message_of([&] { (void)shelf.store->choose("last"); }).find("DONE' is damaged"), std::string::npos);
  EXPECT_EQ(shelf.store->choose("1").epoch, 1) << "an older one can still be named";
}

TEST(Checkpoints, AreChosenByEpochAndTheErrorListsThem) {
  const TemporaryFolder folder;
  Shelf shelf(folder / "c", {.keep_last = 3});
  EXPECT_EQ(shelf.message_of([&] { (void)shelf.store->choose("last"); }),
            "usage: there is no checkpoint yet; train first");
  shelf.save(1);
  shelf.save(2);
  EXPECT_EQ(shelf.store->choose("1").step, 10);
  EXPECT_EQ(shelf.message_of([&] { (void)shelf.store->choose("7"); }),
            "usage: there is no checkpoint of epoch 7; there are: epoch 1 (step 10), epoch 2 (step 20)");
  EXPECT_EQ(shelf.message_of([&] { (void)shelf.store->choose("bets"); }),
            "usage: 'bets' names no checkpoint; expected best, last or an epoch. There are: epoch 1 (step 10), epoch 2 "
            "(step 20)");
}

TEST(Checkpoints, ASecondTrainerInTheSameFolderIsRefused) {
  const TemporaryFolder folder;
  Shelf shelf(folder / "c");
  EXPECT_EQ(shelf.message_of([&] { Shelf second(folder / "c"); }),
            "usage: another process is training into '" + (folder / "c").string() +
                "'; wait for it, stop it, or start a run of another name");
}

TEST(Checkpoints, ADamagedNewestOneStopsTheResumeAndAnOlderOneContinues) {
  const TemporaryFolder folder;
  TinyRun straight(folder / "straight"), run(folder / "run");
  run.plan.checkpoints.keep_last = 3;
  straight.run();
  run.run();
  run.trainer.reset();
  fs::resize_file(folder / "run/epoch-0003-step-000012/optimizer.safetensors", 100);
  run.open();
  EXPECT_THROW(run.trainer->resume(), Error);
  run.resume("2");
  EXPECT_TRUE(testing::same_bits(run.task->generator.state_dict(), straight.task->generator.state_dict()));
  EXPECT_NO_THROW(verify_checkpoint(run.trainer->checkpoints().back())) << "the damaged one was replaced";
}

// Trains the tiny task in a child process and kills it `delay` later; whatever is left must be resumable.
void kill_a_run_after(const fs::path& where, std::chrono::microseconds delay) {
  const pid_t child = ::fork();
  if (child == 0) {
    TinyRun run(where);
    run.plan.trainer.epochs = 1000000;
    run.plan.trainer.ema_decay = 0.9;
    run.plan.checkpoints = {.every = steps(1), .keep_best = 1, .keep_last = 2};
    auto& trainer = run.open();
    if (!trainer.checkpoints().empty()) trainer.resume();
    trainer.run();
    ::_exit(1);
  }
  std::this_thread::sleep_for(delay);
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the child ended by itself: " << status;
}

// Kills n times at random instants; after each, the newest checkpoint is whole, loads, and is never older than before.
void kill_and_reload(int n) {
  at::set_num_threads(1);  // a forked child has no OpenMP workers
  const TemporaryFolder folder;
  RandomSource random(seed_of(1, "kill"));
  std::int64_t last_step = 0;
  for (int i = 0; i < n; ++i) {
    kill_a_run_after(folder / "run", std::chrono::microseconds(1000 + random.below(120000)));
    TinyRun run(folder / "run");
    run.plan.trainer.ema_decay = 0.9;
    auto& trainer = run.open();
    if (last_step == 0 && trainer.checkpoints().empty()) continue;
    ASSERT_NO_THROW(trainer.resume()) << "after kill " << i;
    ASSERT_GE(trainer.state().step, last_step);
    last_step = trainer.state().step;
  }
  EXPECT_GT(last_step, 0) << "no run ever got as far as a checkpoint";
}

TEST(Checkpoints, SixKillsAtRandomInstantsLeaveALoadableRun) { kill_and_reload(6); }

TEST(SlowCheckpoints, FiftyKillsAtRandomInstantsLeaveALoadableRun) { kill_and_reload(50); }

}  // namespace
}  // namespace melisma
