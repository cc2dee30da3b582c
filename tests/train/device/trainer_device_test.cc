// Training on a device that is not the CPU: the same run, with nothing left behind and nobody waiting for it.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "models/layers/device.h"
#include "tests/support/pretend_device.h"
#include "tests/train/engine/tiny_gan.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::n_reads_of_pretend_devices;
using testing::pretend_device;
using testing::TemporaryFolder;
using testing::TinyRun;

// On GPUs that are none.
class DeviceTraining : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_pretend_devices()) GTEST_SKIP() << "a GPU is in sight; hide it with CUDA_VISIBLE_DEVICES=";
  }
};

constexpr std::array kTensorFiles{"model.safetensors", "discriminator.safetensors", "ema.safetensors",
                                  "optimizer.safetensors"};

TinyRun averaged_run(const std::filesystem::path& folder, at::Device device) {
  TinyRun run(folder);
  run.plan.device = device;
  run.plan.trainer.ema_decay = 0.9;
  run.plan.trainer.accumulation = 2;
  run.plan.optimizers[1].second.clip_norm = 0.5;
  return run;
}

std::string file_of(const TinyRun& run, const char* name) {
  return read_file(run.trainer->checkpoints().back().folder / name);
}

TEST_F(DeviceTraining, IsTheRunOnTheCpuBitForBit) {
  const TemporaryFolder folder;
  auto here = averaged_run(folder / "cpu", at::kCPU), there = averaged_run(folder / "device", pretend_device(1));
  here.run();
  there.run();
  EXPECT_EQ(there.task->generator.first.device(), pretend_device(1));
  for (const auto* file : kTensorFiles) EXPECT_EQ(file_of(here, file), file_of(there, file)) << file;
  for (const auto* value : {"loss/error", "grad_norm/generator", "validation/error"}) {
    EXPECT_EQ(here.sink.values(value), there.sink.values(value)) << value;
  }
}

TEST_F(DeviceTraining, AResumedRunIsAnUninterruptedOneBitForBit) {
  const TemporaryFolder folder;
  auto straight = averaged_run(folder / "straight", pretend_device());
  auto resumed = averaged_run(folder / "resumed", pretend_device());
  straight.run();
  resumed.plan.trainer.epochs = 1;
  resumed.run();
  resumed.plan.trainer.epochs = 3;
  resumed.resume();
  EXPECT_FALSE(resumed.sink.said("continues on"));
  for (const auto* file : kTensorFiles) EXPECT_EQ(file_of(straight, file), file_of(resumed, file)) << file;
  EXPECT_EQ(file_of(straight, "state.json"), file_of(resumed, "state.json"));
}

TEST_F(DeviceTraining, MovesToAnotherDeviceAndSaysSo) {
  const TemporaryFolder folder;
  auto run = averaged_run(folder / "run", pretend_device());
  run.plan.trainer.epochs = 1;
  run.run();
  run.plan.device = at::kCPU;
  run.plan.trainer.epochs = 2;
  run.resume();
  EXPECT_TRUE(run.sink.said("trained on cuda until now and continues on cpu"));
  EXPECT_EQ(run.trainer->state().device, "cpu");
}

// Reads of the device in a run of `n_batches` steps with one line at its end.
std::int64_t reads_of_run(const std::filesystem::path& folder, std::int64_t n_batches) {
  TinyRun run(folder);
  run.plan.device = pretend_device();
  run.plan.trainer.epochs = 1;
  run.plan.trainer.log_every = epochs(1);
  run.plan.trainer.validate_every = Duration{};
  run.plan.trainer.precision = "fp32";
  run.loader = testing::TinyLoader(n_batches, 2);
  const auto before = n_reads_of_pretend_devices();
  run.run();
  return n_reads_of_pretend_devices() - before;
}

TEST_F(DeviceTraining, NobodyWaitsForItBetweenTwoLinesOfTheLog) {
  const TemporaryFolder folder;
  const auto few = reads_of_run(folder / "few", 2), many = reads_of_run(folder / "many", 9);
  EXPECT_GT(few, 0);
  EXPECT_EQ(few, many);
}

TEST_F(DeviceTraining, SkippedStepsAreCountedWhenALineIsDue) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.plan.device = pretend_device();
  run.plan.trainer.epochs = 1;
  run.plan.trainer.log_every = epochs(1);
  run.options.explodes = [](std::int64_t step) { return step == 1 || step == 2; };
  run.run();
  EXPECT_EQ(run.trainer->state().skipped_steps, 2);
  EXPECT_TRUE(run.sink.said("2 steps skipped"));
  EXPECT_EQ(run.sink.values("loss/error").size(), 1u);
}

TEST_F(DeviceTraining, TooManySkippedStepsEndItAtTheLine) {
  const TemporaryFolder folder;
  TinyRun run(folder / "run");
  run.plan.device = pretend_device();
  run.plan.trainer.log_every = epochs(1);
  run.plan.trainer.max_skipped_steps = 1;
  run.options.explodes = [](std::int64_t step) { return step >= 5; };
  try {
    run.run();
    FAIL() << "ended well";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::diverged) << error.what();
  }
  EXPECT_EQ(run.trainer->state().epochs_done, 2);
}

TEST(GpuTraining, IsTheRunOnTheCpuUpToRounding) {
  if (cuda_state().n_devices == 0) GTEST_SKIP() << cuda_state().problem;
  const TemporaryFolder folder;
  auto here = averaged_run(folder / "cpu", at::kCPU), there = averaged_run(folder / "gpu", open_device("cuda"));
  here.run();
  there.run();
  const auto expected = here.sink.values("loss/error"), found = there.sink.values("loss/error");
  ASSERT_EQ(expected.size(), found.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-4 * expected[i]) << i;
}

TEST(GpuTraining, EveryPrecisionTrainsAndResumes) {
  if (cuda_state().n_devices == 0) GTEST_SKIP() << cuda_state().problem;
  const TemporaryFolder folder;
  for (const auto* precision : {"fp32", "tf32", "bf16", "fp16"}) {
    auto straight = averaged_run(folder / (std::string(precision) + "-straight"), open_device("cuda"));
    auto resumed = averaged_run(folder / (std::string(precision) + "-resumed"), open_device("cuda"));
    straight.plan.trainer.precision = resumed.plan.trainer.precision = precision;
    straight.run();
    resumed.plan.trainer.epochs = 1;
    resumed.run();
    resumed.plan.trainer.epochs = 3;
    resumed.resume();
    EXPECT_EQ(file_of(straight, "model.safetensors"), file_of(resumed, "model.safetensors")) << precision;
    EXPECT_LT(straight.sink.values("loss/error").back(), straight.sink.values("loss/error").front()) << precision;
  }
}

}  // namespace
}  // namespace melisma
