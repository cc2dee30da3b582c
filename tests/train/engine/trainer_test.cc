#include "train/engine/trainer.h"

#include <ATen/Parallel.h>
#include <csignal>

#include "tests/train/engine/tiny_gan.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"

namespace melisma {
namespace {
using testing::same_bits;
using testing::TemporaryFolder;
using testing::TinyRun;
namespace fs = std::filesystem;

// The newest checkpoints of two runs hold the same files byte for byte: weights, moments, averages, history.
::testing::AssertionResult same_files(const Trainer& left, const Trainer& right) {
  const auto a = left.checkpoints().back().folder, b = right.checkpoints().back().folder;
  for (const auto& item : fs::directory_iterator(a)) {
    const auto name = item.path().filename();
    if (name == "DONE") continue;  // it also counts how often this run has saved
    if (read_file(a / name) != read_file(b / name)) return ::testing::AssertionFailure() << name << " differs";
  }
  return ::testing::AssertionSuccess();
}

TEST(Trainer, OverfitsOneBatch) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.loader = testing::TinyLoader(1, 8, /*same_each_epoch=*/true);
  run.options.use_noise = false;
  run.plan.trainer.epochs = 400;
  run.plan.checkpoints.every = Duration{};
  run.plan.trainer.validate_every = Duration{};
  run.run();
  const auto errors = run.sink.values("loss/error");
  EXPECT_LT(errors.back(), 0.02 * errors.front());
}

TEST(Trainer, ThreeEpochsSaveResumeThreeEqualsSixBitForBit) {
  const TemporaryFolder folder;
  TinyRun straight(folder / "straight"), resumed(folder / "resumed");
  for (auto* run : {&straight, &resumed}) {
    run->plan.trainer.ema_decay = 0.9;
    run->plan.trainer.epochs = 6;
    run->plan.optimizers[1].second.warmup = steps(7);
    run->plan.optimizers[1].second.clip_norm = 0.5;
  }
  straight.run();
  resumed.plan.trainer.epochs = 3;
  resumed.run();
  resumed.plan.trainer.epochs = 6;
  resumed.resume();
  EXPECT_TRUE(same_files(*straight.trainer, *resumed.trainer));
  EXPECT_EQ(straight.sink.values("loss/error"), resumed.sink.values("loss/error"));
  EXPECT_EQ(straight.sink.values("grad_norm/generator"), resumed.sink.values("grad_norm/generator"));
  EXPECT_EQ(straight.sink.values("validation/mel_distance"), resumed.sink.values("validation/mel_distance"));
  EXPECT_TRUE(same_bits(straight.task->discriminator.state_dict(), resumed.task->discriminator.state_dict()));
}

TEST(Trainer, AStopInTheMiddleOfAnEpochSavesAndResumesBitForBit) {
  const TemporaryFolder folder;
  TinyRun straight(folder / "straight"), stopped(folder / "stopped");
  straight.run();
  std::int64_t n_steps = 0;
  stopped.options.on_step = [&] {
    if (++n_steps == 6) request_stop(SIGTERM);
  };
  try {
    stopped.run();
    FAIL() << "a stop ends the run";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 143);
    EXPECT_NE(error.message().find("stopped at epoch 2, step 6; everything is saved in"), std::string::npos)
        << error.message();
  }
  request_stop(0);
  EXPECT_EQ(stopped.trainer->checkpoints().back().folder.filename(), "epoch-0002-step-000006");
  stopped.options = {};
  stopped.resume();
  EXPECT_TRUE(same_files(*straight.trainer, *stopped.trainer));
}

TEST(Trainer, SigintEndsWith130) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.options.on_step = [] { request_stop(SIGINT); };
  try {
    run.run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 130);
  }
  request_stop(0);
}

TEST(Trainer, TwoMicroBatchesOfFourEqualOneOfEight) {
  const TemporaryFolder folder;
  TinyRun whole(folder / "whole"), halves(folder / "halves");
  for (auto* run : {&whole, &halves}) run->options.use_noise = false;
  halves.loader = testing::TinyLoader(8, 4);
  halves.plan.trainer.accumulation = 2;
  whole.run();
  halves.run();
  EXPECT_EQ(whole.trainer->state().step, halves.trainer->state().step);
  for (const auto& [name, tensor] : whole.task->generator.state_dict()) {
    EXPECT_TRUE(at::allclose(tensor, halves.task->generator.state_dict().at(name), 1e-4, 1e-5)) << name;
  }
}

TEST(Trainer, TheLastStepOfAnEpochTakesTheMicroBatchesThatAreLeft) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.plan.trainer.accumulation = 3;
  run.plan.trainer.epochs = 1;
  run.run();
  EXPECT_EQ(run.trainer->state().step, 2);
  EXPECT_EQ(run.trainer->state().samples_seen, 32);
}

TEST(Trainer, AveragedWeightsAreEvaluatedAndSaved) {
  const TemporaryFolder folder;
  TinyRun plain(folder / "plain"), averaged(folder / "averaged");
  averaged.plan.trainer.ema_decay = 0.9;
  plain.run();
  averaged.run();
  EXPECT_TRUE(same_bits(plain.task->generator.state_dict(), averaged.task->generator.state_dict()))
      << "averaging watches training and does not change it";
  EXPECT_NE(plain.sink.values("validation/mel_distance"), averaged.sink.values("validation/mel_distance"));
  testing::TinyGan judge;
  judge.generator.load(read_model(averaged.trainer->checkpoints().back().folder / "ema.safetensors").weights);
  EXPECT_EQ(judge.validate(3, 12, averaged.sink)[0].second, averaged.sink.values("validation/mel_distance").back());
}

TEST(Trainer, ANonFiniteStepIsSkippedAndCounted) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.options.explodes = [](std::int64_t step) { return step == 1 || step == 6; };
  run.run();
  EXPECT_EQ(run.trainer->state().skipped_steps, 2);
  EXPECT_TRUE(
      run.sink.said("step skipped at epoch 1, step 2: a loss or gradient of epoch 1 was not finite (1 of at most 10)"));
  for (const auto& [name, tensor] : run.task->generator.state_dict()) {
    EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << name;
  }
}

TEST(Trainer, TooManyNonFiniteStepsEndAsDiverged) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.plan.trainer.max_skipped_steps = 2;
  run.options.explodes = [](std::int64_t step) { return step >= 5; };
  try {
    run.run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 4);
    EXPECT_EQ(
        error.message(),
        "3 steps had non-finite numbers, more than max_skipped_steps = 2; the last one at epoch 2, step 8: a loss "
        "or gradient of epoch 2 was not finite. The last checkpoint is '" +
            (folder / "run/epoch-0001-step-000004").string() + "'; lower the learning rate or set clip_norm");
  }
}

TEST(Trainer, OvertrainedRunsStopBeforeTheNextEpochAndNameTheBest) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.plan.trainer.epochs = 20;
  run.plan.overtraining = {.rule = "patience", .patience = 3};
  run.options.score = [](std::int64_t epoch) { return epoch <= 2 ? 1.0 - 0.1 * static_cast<double>(epoch) : 0.9; };
  const auto outcome = run.run();
  EXPECT_TRUE(outcome.is_overtrained);
  EXPECT_EQ(outcome.reason, "no improvement since epoch 2");
  EXPECT_EQ(outcome.epochs_done, 5);
  EXPECT_EQ(outcome.best->epoch, 2);
  EXPECT_EQ(outcome.best_checkpoint->folder.filename(), "epoch-0002-step-000008");
  EXPECT_EQ(run.sink.all<DecisionEvent>().back().reason, "no improvement since epoch 2");
}

TEST(Trainer, AResumeWithPatienceSpentTrainsNoEpoch) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.plan.trainer.epochs = 20;
  run.plan.overtraining = {.rule = "patience", .patience = 3};
  run.options.score = [](std::int64_t epoch) { return epoch == 2 ? 0.5 : 1.0; };
  run.run();
  std::int64_t n_steps = 0;
  run.options.on_step = [&] { ++n_steps; };
  const auto outcome = run.resume();
  EXPECT_TRUE(outcome.is_overtrained);
  EXPECT_EQ(outcome.epochs_trained_here, 0);
  EXPECT_EQ(n_steps, 0);
  EXPECT_EQ(outcome.best->epoch, 2);
}

TEST(Trainer, GapRuleAsksForTheTrainingScore) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.plan.trainer.epochs = 20;
  run.plan.overtraining = {.rule = "gap", .window = 5};
  run.options.score = [](std::int64_t) { return 1.0; };
  EXPECT_TRUE(run.run().is_overtrained);
  EXPECT_EQ(run.trainer->state().epochs_done, 5);
}

TEST(Trainer, AnUnknownWatchedMetricSuggestsTheNearest) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.plan.overtraining.metric = "mel_distence";
  try {
    run.run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "config: unknown overtraining metric 'mel_distence'; did you mean 'mel_distance'? known: "
                 "mel_distance, error");
  }
}

TEST(Trainer, AnotherThreadCountIsSaidOnResume) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  const int threads = at::get_num_threads();
  run.run();
  run.plan.trainer.epochs = 4;
  at::set_num_threads(threads + 1);
  run.resume();
  at::set_num_threads(threads);
  EXPECT_TRUE(run.sink.said("sums differ in the last bit"));
}

TEST(Trainer, AnotherSeedIsRefusedOnResume) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.run();
  run.plan.trainer.seed = 99;
  run.open();
  EXPECT_THROW(run.trainer->resume(), Error);
}

TEST(Trainer, SaysLossesNormsRatesAndTimeLeft) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.run();
  for (const auto* name : {"loss/error", "loss/generator", "loss/discriminator", "grad_norm/generator",
                           "lr/discriminator", "items_per_second", "seconds_left"}) {
    EXPECT_EQ(run.sink.values(name).size(), 12u) << name;
  }
  EXPECT_EQ(run.sink.values("validation/error").size(), 3u);
  EXPECT_TRUE(run.sink.said("the best so far"));
}

TEST(Trainer, ValidatesAndSavesInStepsWhenAsked) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.plan.trainer.epochs = 2;
  run.plan.trainer.validate_every = steps(3);
  run.plan.checkpoints = {.every = steps(3), .keep_best = 0, .keep_last = 9};
  run.run();
  std::vector<std::string> names;
  for (const auto& entry : run.trainer->checkpoints()) names.push_back(entry.folder.filename());
  EXPECT_EQ(names,
            (std::vector<std::string>{"epoch-0001-step-000003", "epoch-0002-step-000006", "epoch-0002-step-000008"}));
  EXPECT_EQ(run.sink.values("validation/error").size(), 3u) << "after steps 3 and 6, and when the epochs end";
}

TEST(Trainer, TheLastEpochIsScoredWhateverTheInterval) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.plan.trainer.validate_every = epochs(2);
  run.options.score = [](std::int64_t epoch) { return 1.0 / static_cast<double>(epoch); };
  const auto outcome = run.run();
  std::vector<std::int64_t> scored;
  for (const auto& evaluation : run.trainer->state().evaluations) scored.push_back(evaluation.epoch);
  EXPECT_EQ(scored, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(outcome.best->epoch, 3);
  EXPECT_EQ(outcome.best_checkpoint->folder.filename(), "epoch-0003-step-000012");
  EXPECT_DOUBLE_EQ(*outcome.best_checkpoint->score, 1.0 / 3);

  TinyRun exact(folder / "exact"), off(folder / "off");
  exact.plan.trainer.validate_every = epochs(3);
  exact.run();
  EXPECT_EQ(exact.sink.values("validation/error").size(), 1u) << "what is due anyway is scored once";
  off.plan.trainer.validate_every = Duration{};
  off.run();
  EXPECT_TRUE(off.sink.values("validation/error").empty());
}

// The score where the first half ended is the only trace it leaves: no rule counts it.
TEST(Trainer, ALengthenedRunEqualsAStraightOneDespiteTheScoreWhereItEnded) {
  const TemporaryFolder folder;
  TinyRun straight(folder / "straight"), lengthened(folder / "lengthened");
  for (auto* run : {&straight, &lengthened}) {
    run->plan.trainer.validate_every = epochs(2);
    run->plan.trainer.ema_decay = 0.9;
    run->plan.overtraining = {.rule = "patience", .patience = 3};
    run->options.score = [](std::int64_t epoch) { return epoch == 2 ? 0.5 : 1.0; };
  }
  straight.plan.trainer.epochs = 20;
  const auto expected = straight.run();
  lengthened.plan.trainer.epochs = 3;
  lengthened.run();
  lengthened.plan.trainer.epochs = 20;
  const auto outcome = lengthened.resume();
  EXPECT_TRUE(outcome.is_overtrained);
  EXPECT_EQ(outcome.epochs_done, expected.epochs_done);
  EXPECT_EQ(outcome.reason, expected.reason);
  const auto a = straight.trainer->checkpoints().back().folder, b = lengthened.trainer->checkpoints().back().folder;
  for (const auto* file :
       {"model.safetensors", "ema.safetensors", "discriminator.safetensors", "optimizer.safetensors"}) {
    EXPECT_EQ(read_file(a / file), read_file(b / file)) << file;
  }
  auto state = TrainState::from_json(read_file(b / "state.json"));
  EXPECT_EQ(std::erase_if(state.evaluations, [](const Evaluation& evaluation) { return evaluation.is_extra; }), 1u);
  EXPECT_EQ(state.to_json(), read_file(a / "state.json"));
}

}  // namespace
}  // namespace melisma
