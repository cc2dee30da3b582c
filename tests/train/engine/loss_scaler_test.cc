#include "train/engine/loss_scaler.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/train/engine/tiny_gan.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "train/engine/precision.h"

namespace melisma {
namespace {
using testing::TemporaryFolder;
using testing::TinyRun;

const auto kGood = at::zeros({}, at::kBool), kBad = at::ones({}, at::kBool);

TEST(LossScaler, ScalesAndTakesItBack) {
  const LossScaler scaler(at::kCPU);
  EXPECT_EQ(scaler.scaled(at::full({}, 2.0)).item<double>(), 2 * LossScaler::kFirst);
  const std::vector<at::Tensor> gradients{at::full({3}, LossScaler::kFirst), at::full({2, 2}, -LossScaler::kFirst)};
  EXPECT_FALSE(scaler.unscale(gradients).item<bool>());
  EXPECT_TRUE(at::equal(gradients[0], at::ones({3})));
  EXPECT_TRUE(at::equal(gradients[1], -at::ones({2, 2})));
  EXPECT_FALSE(scaler.unscale({}).item<bool>());
}

TEST(LossScaler, FindsWhatIsNotFinite) {
  const LossScaler scaler(at::kCPU);
  for (const double value : {static_cast<double>(INFINITY), static_cast<double>(NAN)}) {
    const auto gradient = at::ones({4});
    gradient[2] = value;
    EXPECT_TRUE(scaler.unscale({at::ones({2}), gradient}).item<bool>()) << value;
  }
}

TEST(LossScaler, ABadStepHalvesItAndManyGoodOnesDoubleIt) {
  LossScaler scaler(at::kCPU);
  scaler.end_step(kBad);
  EXPECT_EQ(scaler.scale(), LossScaler::kFirst / 2);
  for (std::int64_t step = 1; step < LossScaler::kGrowthSteps; ++step) scaler.end_step(kGood);
  EXPECT_EQ(scaler.scale(), LossScaler::kFirst / 2);
  EXPECT_EQ(scaler.good_steps(), LossScaler::kGrowthSteps - 1);
  LossScaler resumed(at::kCPU);
  resumed.restore(scaler.scale(), scaler.good_steps());
  for (auto* one : {&scaler, &resumed}) {
    one->end_step(kGood);
    EXPECT_EQ(one->scale(), LossScaler::kFirst);
    EXPECT_EQ(one->good_steps(), 0);
  }
}

TEST(LossScaler, StaysWithinItsBounds) {
  LossScaler scaler(at::kCPU);
  EXPECT_TRUE(scaler.can_shrink().item<bool>());
  for (int step = 0; step < 40; ++step) scaler.end_step(kBad);
  EXPECT_EQ(scaler.scale(), LossScaler::kLeast);
  EXPECT_FALSE(scaler.can_shrink().item<bool>());
  scaler.restore(LossScaler::kMost, LossScaler::kGrowthSteps - 1);
  scaler.end_step(kGood);
  EXPECT_EQ(scaler.scale(), LossScaler::kMost);
}

TEST(LossScaler, OneThatIsOffLeavesALossAlone) {
  LossScaler off;
  const auto loss = at::full({}, 3.0);
  EXPECT_TRUE(off.scaled(loss).is_same(loss));
  off.end_step(kBad);
  EXPECT_EQ(off.scale(), 1);
}

// fp16 without a GPU: slow, but the same arithmetic. The tiny task's first gradients are too large for the first scale,
// and its second step is made infinite.
constexpr double kScaleAfterBoth = LossScaler::kFirst / 4;

TEST(LossScaling, AnOverflowIsSkippedHalvesTheScaleAndIsNoDivergence) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.plan.trainer.precision = "fp16";
  run.plan.trainer.max_skipped_steps = 0;
  run.plan.trainer.epochs = 1;
  run.options.explodes = [](std::int64_t step) { return step == 1; };
  run.run();
  const auto& state = run.trainer->state();
  EXPECT_EQ(state.skipped_steps, 0);
  EXPECT_EQ(state.overflowed_steps, 2);
  EXPECT_EQ(state.loss_scale, kScaleAfterBoth);
  EXPECT_EQ(state.steps_at_scale, 2);
  EXPECT_EQ(run.sink.values("loss_scale"), (std::vector<double>{kScaleAfterBoth, kScaleAfterBoth}));
  EXPECT_EQ(run.sink.values("overflowed_steps"), (std::vector<double>{2, 2}));
}

TEST(LossScaling, IsSavedAndResumedBitForBit) {
  const TemporaryFolder folder;
  TinyRun straight(folder / "straight"), resumed(folder / "resumed");
  for (auto* run : {&straight, &resumed}) {
    run->plan.trainer.precision = "fp16";
    run->options.explodes = [](std::int64_t step) { return step == 1; };
  }
  straight.plan.trainer.epochs = 2;
  straight.run();
  resumed.plan.trainer.epochs = 1;
  resumed.run();
  resumed.plan.trainer.epochs = 2;
  resumed.resume();
  EXPECT_EQ(resumed.trainer->state().loss_scale, kScaleAfterBoth);
  EXPECT_EQ(resumed.trainer->state().steps_at_scale, 6);
  for (const auto* file : {"state.json", "model.safetensors", "optimizer.safetensors"}) {
    EXPECT_EQ(read_file(straight.trainer->checkpoints().back().folder / file),
              read_file(resumed.trainer->checkpoints().back().folder / file))
        << file;
  }
}

TEST(LossScaling, AScaleThatCannotShrinkAnyMoreIsNoExcuse) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.plan.trainer.precision = "fp16";
  run.plan.trainer.max_skipped_steps = 2;
  run.plan.trainer.epochs = 10;
  run.options.explodes = [](std::int64_t) { return true; };
  try {
    run.run();
    FAIL() << "ended well";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::diverged) << error.what();
  }
  const auto halvings = static_cast<std::int64_t>(std::log2(LossScaler::kFirst / LossScaler::kLeast));
  EXPECT_EQ(run.trainer->state().overflowed_steps, halvings);
  EXPECT_EQ(run.trainer->state().skipped_steps, 3);
}

TEST(LossScaling, ItsGradientsAreThoseWithoutUpToRounding) {
  const TemporaryFolder folder;
  TinyRun wide(folder / "fp32"), narrow(folder / "fp16");
  narrow.plan.trainer.precision = "fp16";
  for (auto* run : {&wide, &narrow}) {
    run->plan.trainer.epochs = 1;
    for (auto& [network, optimizer] : run->plan.optimizers)
      optimizer.lr = 0;  // so that a skipped step is no difference
    run->run();
  }
  auto expected = wide.sink.values("grad_norm/generator");
  const auto found = narrow.sink.values("grad_norm/generator");
  ASSERT_EQ(found.size(), 3u);  // the first is skipped
  expected.erase(expected.begin());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i] / expected[i], 1, 0.01) << i;
  EXPECT_NE(expected, found);
}

TEST(Precision, WhatOnlyGpusComputeWithIsRefusedOnACpu) {
  for (const auto* precision : {"fp16", "tf32"}) {
    try {
      require_precision(precision, at::kCPU);
      ADD_FAILURE() << precision << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::device);
      const std::string said = error.what();
      EXPECT_NE(said.find("trainer.precision is " + std::string(precision)), std::string::npos) << said;
      EXPECT_NE(said.find("trainer.device"), std::string::npos) << said;
    }
  }
}

TEST(Precision, ProductsOnGpusAreAsPreciseAsAsked) {
  set_gpu_products("tf32");
  EXPECT_TRUE(at::globalContext().allowTF32CuBLAS());
  EXPECT_TRUE(at::globalContext().allowTF32CuDNN());
  set_gpu_products("fp32");
  EXPECT_FALSE(at::globalContext().allowTF32CuBLAS());
  EXPECT_FALSE(at::globalContext().allowTF32CuDNN());
}

}  // namespace
}  // namespace melisma
