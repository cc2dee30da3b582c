#include "train/engine/schedule.h"

#include <gtest/gtest.h>

#include "tools/base/error.h"

namespace melisma {
namespace {

TEST(Schedule, DecaysOnceAnEpoch) {
  const OptimizerConfig config{.lr = 1e-4, .lr_decay = 0.5};
  EXPECT_DOUBLE_EQ(learning_rate(config, 1, 0, 10), 1e-4);
  EXPECT_DOUBLE_EQ(learning_rate(config, 1, 9, 10), 1e-4);
  EXPECT_DOUBLE_EQ(learning_rate(config, 3, 20, 10), 0.25e-4);
}

TEST(Schedule, WarmsUpLinearlyInSteps) {
  const OptimizerConfig config{.lr = 1.0, .lr_decay = 1.0, .warmup = steps(4)};
  EXPECT_DOUBLE_EQ(learning_rate(config, 1, 0, 10), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate(config, 1, 2, 10), 0.75);
  EXPECT_DOUBLE_EQ(learning_rate(config, 1, 4, 10), 1.0);
}

TEST(Schedule, WarmsUpLinearlyInEpochs) {
  const OptimizerConfig config{.lr = 1.0, .lr_decay = 1.0, .warmup = epochs(2)};
  EXPECT_DOUBLE_EQ(learning_rate(config, 1, 9, 10), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(config, 3, 20, 10), 1.0);
}

TEST(Schedule, AWarmUpInHoursIsRefused) {
  const OptimizerConfig config{.warmup = hours(1)};
  EXPECT_THROW((void)learning_rate(config, 1, 0, 10), Error);
}

TEST(Schedule, StepsAreDueAtTheirMultiples) {
  for (std::int64_t step = 1; step <= 9; ++step) {
    EXPECT_EQ(is_due(steps(3), {.epoch = 0, .step = step}), step % 3 == 0) << step;
  }
  EXPECT_FALSE(is_due(steps(3), {.epoch = 1, .step = 3, .is_epoch_end = true})) << "said once, after the step";
}

TEST(Schedule, EpochsAreDueAtTheirEnds) {
  EXPECT_TRUE(is_due(epochs(2), {.epoch = 4, .step = 40, .is_epoch_end = true}));
  EXPECT_FALSE(is_due(epochs(2), {.epoch = 3, .step = 30, .is_epoch_end = true}));
  EXPECT_FALSE(is_due(epochs(2), {.epoch = 4, .step = 40, .is_epoch_end = false}));
}

TEST(Schedule, OffIsNeverDueAndTimeIsDueWhenItHasPassed) {
  EXPECT_FALSE(is_due(Duration{}, {.epoch = 1, .step = 1, .is_epoch_end = true, .seconds_since_last = 1e9}));
  EXPECT_TRUE(is_due(hours(1), {.seconds_since_last = 3600}));
  EXPECT_FALSE(is_due(hours(1), {.seconds_since_last = 3599}));
}

}  // namespace
}  // namespace melisma
