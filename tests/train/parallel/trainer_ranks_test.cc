// The loop on several ranks: the same weights, the same decisions, one that saves.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/pretend_device.h"
#include "tests/train/engine/tiny_gan.h"
#include "tests/train/parallel/message_of.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "train/parallel/ranks_on_threads.h"

namespace melisma {
namespace {
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;
using testing::TinyRun;
namespace fs = std::filesystem;

using Change = std::function<void(TinyRun&, std::int64_t rank)>;

// Runs of the tiny task, one a rank, in one folder.
class Team {
 public:
  Team(const fs::path& folder, std::int64_t n, const Change& change = {}) {
    for (std::int64_t rank = 0; rank < n; ++rank) {
      runs_.push_back(std::make_unique<TinyRun>(folder));
      if (change) change(*runs_.back(), rank);
    }
  }
  TinyRun& operator[](std::size_t rank) { return *runs_[rank]; }

  std::vector<std::exception_ptr> outcomes(bool is_resume = false) {
    return outcomes_of_ranks({.n = std::ssize(runs_), .timeout_seconds = 10}, [&](ProcessRanks& ranks) {
      auto& run = *runs_[static_cast<std::size_t>(ranks.shard().rank)];
      auto& trainer = run.open(ranks);
      if (is_resume) trainer.resume();
      (void)trainer.run();
    });
  }
  void run(bool is_resume = false) {
    for (const auto& outcome : outcomes(is_resume)) {
      if (outcome) std::rethrow_exception(outcome);
    }
  }

 private:
  std::vector<std::unique_ptr<TinyRun>> runs_;
};

std::string newest_model(const Trainer& trainer) {
  return read_file(trainer.checkpoints().back().folder / "model.safetensors");
}

TEST(TrainerRanks, RanksOnGpusTrainWhatRanksOnCpusDo) {
  if (!testing::has_pretend_devices()) GTEST_SKIP() << "a GPU is in sight; hide it with CUDA_VISIBLE_DEVICES=";
  const TemporaryFolder folder;
  Team here(folder / "cpu", 2);
  Team there(folder / "gpu", 2, [](TinyRun& run, std::int64_t rank) {
    run.plan.device = testing::pretend_device(static_cast<int>(rank));
    run.options.explodes = [](std::int64_t step) { return step == 2; };
  });
  here[0].options.explodes = here[1].options.explodes = there[0].options.explodes;
  here.run();
  there.run();
  EXPECT_EQ(there[1].task->generator.first.device(), testing::pretend_device(1));
  EXPECT_EQ(newest_model(*here[0].trainer), newest_model(*there[0].trainer));
  EXPECT_EQ(there[0].trainer->state().skipped_steps, 1);
  EXPECT_EQ(there[1].trainer->state().skipped_steps, 1);
}

double largest_difference(const Module& left, const Module& right) {
  double largest = 0;
  const auto others = right.state_dict();
  for (const auto& [name, tensor] : left.state_dict()) {
    largest = std::max(largest, at::max(at::abs(tensor - others.at(name))).item<double>());
  }
  return largest;
}

::testing::AssertionResult same_files(const Trainer& left, const Trainer& right) {
  const auto a = left.checkpoints().back().folder, b = right.checkpoints().back().folder;
  for (const auto& item : fs::directory_iterator(a)) {
    const auto name = item.path().filename();
    if (name == "DONE") continue;
    if (read_file(a / name) != read_file(b / name)) return ::testing::AssertionFailure() << name << " differs";
  }
  return ::testing::AssertionSuccess();
}

TEST(TrainerRanks, NRanksEqualOneRankWithTheSummedBatchAfterTwelveSteps) {
  const TemporaryFolder folder;
  const auto change = [](TinyRun& run, std::int64_t) {
    run.plan.trainer.ema_decay = 0.9;
    run.plan.optimizers[1].second.clip_norm = 0.5;
  };
  Team alone(folder / "alone", 1, change);
  alone[0].run();
  for (const std::int64_t n : {2, 3}) {  // 8 items: shares of 4 and 4, of 3, 3 and 2
    Team team(folder / std::to_string(n), n, change);
    team.run();
    EXPECT_EQ(team[0].trainer->state().step, 12);
    EXPECT_EQ(team[0].trainer->state().samples_seen, alone[0].trainer->state().samples_seen);
    EXPECT_LT(largest_difference(alone[0].task->generator, team[0].task->generator), 1e-6) << n;
    EXPECT_LT(largest_difference(alone[0].task->discriminator, team[0].task->discriminator), 1e-6) << n;
    for (const auto* name : {"loss/error", "loss/generator", "grad_norm/generator", "validation/mel_distance"}) {
      const auto expected = alone[0].sink.values(name), got = team[0].sink.values(name);
      ASSERT_EQ(expected.size(), got.size()) << name;
      for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-6) << name;
    }
    for (std::size_t rank = 1; rank < static_cast<std::size_t>(n); ++rank) {
      EXPECT_EQ(largest_difference(team[rank].task->generator, team[0].task->generator), 0) << "bit for bit";
    }
  }
}

TEST(TrainerRanks, MoreRanksThanItemsTrainTheSame) {
  const TemporaryFolder folder;
  const auto change = [](TinyRun& run, std::int64_t) { run.loader = testing::TinyLoader(4, 2); };
  Team alone(folder / "alone", 1, change), team(folder / "team", 3, change);
  alone[0].run();
  team.run();
  EXPECT_LT(largest_difference(alone[0].task->generator, team[0].task->generator), 1e-6);
  EXPECT_EQ(alone[0].sink.values("loss/error").size(), team[0].sink.values("loss/error").size());
}

TEST(TrainerRanks, RankZeroAloneWritesAndEveryRankStartsFromItsWeights) {
  const TemporaryFolder folder;
  Team team(folder / "run", 2, [&](TinyRun& run, std::int64_t rank) {
    if (rank == 1) run.plan.checkpoint_folder = folder / "other";
  });
  as_ranks({.n = 2}, [&](ProcessRanks& ranks) {
    auto& run = team[static_cast<std::size_t>(ranks.shard().rank)];
    auto& trainer = run.open(ranks);
    const c10::NoGradGuard no_grad;
    if (!ranks.is_first()) run.task->generator.first.fill_(7);
    const at::AutoGradMode with_grad(true);
    (void)trainer.run();
  });
  EXPECT_FALSE(fs::exists(folder / "other"));
  EXPECT_TRUE(team[1].trainer->checkpoints().empty());
  EXPECT_EQ(largest_difference(team[0].task->generator, team[1].task->generator), 0);
}

TEST(TrainerRanks, AResumeWithAnotherNumberOfRanksGoesOnAndSaysSo) {
  const TemporaryFolder folder;
  Team straight(folder / "straight", 1);
  straight[0].run();
  Team first(folder / "changed", 1, [](TinyRun& run, std::int64_t) { run.plan.trainer.epochs = 1; });
  first[0].run();
  first[0].trainer.reset();  // as a process that ended
  Team second(folder / "changed", 2);
  second.run(/*is_resume=*/true);
  EXPECT_TRUE(second[0].sink.said("this run was trained with 1 rank until now and continues with 2"));
  EXPECT_LT(largest_difference(straight[0].task->generator, second[0].task->generator), 1e-6);
  EXPECT_EQ(second[0].trainer->state().ranks, 2);
}

TEST(TrainerRanks, ThreeEpochsAreOneAndAResumeOfTwoBitForBit) {
  const TemporaryFolder folder;
  Team straight(folder / "straight", 2);
  straight.run();
  {
    Team first(folder / "halves", 2, [](TinyRun& run, std::int64_t) { run.plan.trainer.epochs = 1; });
    first.run();
  }
  Team second(folder / "halves", 2);
  second.run(/*is_resume=*/true);
  EXPECT_TRUE(same_files(*straight[0].trainer, *second[0].trainer));
}

TEST(TrainerRanks, ANonFiniteLossOnOneRankIsSkippedByAll) {
  const TemporaryFolder folder;
  Team team(folder / "run", 2, [](TinyRun& run, std::int64_t rank) {
    if (rank == 1) run.options.explodes = [](std::int64_t step) { return step == 1 || step == 6; };
  });
  team.run();
  for (const std::size_t rank : {0, 1}) EXPECT_EQ(team[rank].trainer->state().skipped_steps, 2);
  EXPECT_TRUE(team[0].sink.said("step skipped at epoch 1, step 2"));
  EXPECT_EQ(largest_difference(team[0].task->generator, team[1].task->generator), 0);
}

TEST(TrainerRanks, TooManyNonFiniteStepsEndEveryRankAsDiverged) {
  const TemporaryFolder folder;
  Team team(folder / "run", 2, [](TinyRun& run, std::int64_t rank) {
    run.plan.trainer.max_skipped_steps = 1;
    if (rank == 1) run.options.explodes = [](std::int64_t) { return true; };
  });
  for (const auto& outcome : team.outcomes()) EXPECT_THAT(message_of(outcome), HasSubstr("diverged: 2 steps had"));
}

TEST(TrainerRanks, RankZerosScoresDecideForAll) {
  const TemporaryFolder folder;
  Team team(folder / "run", 2, [](TinyRun& run, std::int64_t rank) {
    run.plan.trainer.epochs = 9;
    run.plan.overtraining.rule = "patience";
    run.plan.overtraining.patience = 2;
    run.options.score = [rank](std::int64_t epoch) {
      return rank == 0 ? static_cast<double>(epoch) : 1.0 / static_cast<double>(epoch);
    };
  });
  team.run();
  for (const std::size_t rank : {0, 1}) EXPECT_EQ(team[rank].trainer->state().epochs_done, 3);
  EXPECT_EQ(team[1].trainer->best()->epoch, 1);
}

// Rank 1 breaks in the generator's turn of the sixth step, when the discriminator has taken that step already.
TEST(TrainerRanks, WhenARankIsLostTheLastWholeStepIsSavedAndAResumeEqualsAStraightRun) {
  const TemporaryFolder folder;
  Team straight(folder / "straight", 2);
  straight.run();
  {
    Team broken(folder / "broken", 2, [](TinyRun& run, std::int64_t rank) {
      if (rank == 0) return;
      run.options.explodes = [](std::int64_t step) {
        if (step == 5) fail(ErrorKind::data, "this rank's disk is gone");
        return false;
      };
    });
    const auto outcomes = broken.outcomes();
    EXPECT_THAT(message_of(outcomes[0]),
                AllOf(HasSubstr("network: rank 1 of 2"), HasSubstr("failed: data: this rank's disk is gone"),
                      HasSubstr("everything up to epoch 2, step 5 is saved in")));
    EXPECT_THAT(message_of(outcomes[1]), HasSubstr("data: this rank's disk is gone"));
  }
  Team resumed(folder / "broken", 2);
  resumed.run(/*is_resume=*/true);
  EXPECT_TRUE(same_files(*straight[0].trainer, *resumed[0].trainer));
}

// Rank 0's trainer lives on in this process and locks the folder, as a rank that hangs does.
TEST(TrainerRanks, ARankThatMaySaveButCannotSaysSo) {
  const TemporaryFolder folder;
  Team team(folder / "run", 2, [](TinyRun& run, std::int64_t rank) {
    if (rank == 1) return;
    run.options.explodes = [](std::int64_t step) {
      if (step == 5) fail(ErrorKind::data, "this rank's disk is gone");
      return false;
    };
  });
  const auto outcomes = team.outcomes();
  EXPECT_THAT(message_of(outcomes[1]), AllOf(HasSubstr("rank 0 of 2"), HasSubstr("nothing could be saved")));
}

}  // namespace
}  // namespace melisma
