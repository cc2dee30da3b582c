#include "train/parallel/scale.h"

#include <gtest/gtest.h>

namespace melisma {
namespace {

const Link kLink{.name = "10 Gbit/s", .bytes_per_second = 1.25e9, .latency_seconds = 50e-6};

TEST(Scale, OneRankSendsNothing) {
  EXPECT_EQ(all_reduce_seconds(1e9, 10, 1, kLink), 0);
  EXPECT_EQ(efficiency({.compute_seconds = 1, .gradient_bytes = 1e9, .n_buckets = 10}, 1, kLink), 1);
}

TEST(Scale, ARingPassesTwiceTheBytesAtMost) {
  EXPECT_DOUBLE_EQ(all_reduce_seconds(1.25e9, 1, 2, kLink), 1.0 + 2 * 50e-6);
  EXPECT_DOUBLE_EQ(all_reduce_seconds(1.25e9, 3, 4, kLink), 1.5 + 3 * 6 * 50e-6);
  EXPECT_LT(all_reduce_seconds(1.25e9, 1, 64, kLink), 2.0 + 126 * 50e-6);
}

TEST(Scale, RanksOfOneMachineShareItsMemory) {
  const Link memory{.name = "memory", .bytes_per_second = 4e9, .is_shared = true};
  EXPECT_DOUBLE_EQ(all_reduce_seconds(1e9, 1, 4, memory), 2 * 3 * 1e9 / 4e9);
}

TEST(Scale, WhatFitsBesideTheBackwardPassCostsOnlyTheLastBucket) {
  const StepCost slow{.compute_seconds = 30, .gradient_bytes = 1.25e9, .n_buckets = 10};
  EXPECT_DOUBLE_EQ(exposed_seconds(slow, 2, kLink), all_reduce_seconds(1.25e8, 1, 2, kLink));
  const StepCost fast{.compute_seconds = 0.3, .gradient_bytes = 1.25e9, .n_buckets = 10};
  EXPECT_DOUBLE_EQ(exposed_seconds(fast, 2, kLink), all_reduce_seconds(1.25e9, 10, 2, kLink) - 0.2);
}

TEST(Scale, CopiesAreAdded) {
  const StepCost step{.compute_seconds = 3, .gradient_bytes = 1e6, .copy_seconds = 1};
  EXPECT_DOUBLE_EQ(efficiency(step, 1, kLink), 0.75);
}

TEST(Scale, EfficiencyFallsWithRanksAndRisesWithTheLink) {
  const StepCost step{.compute_seconds = 0.5, .gradient_bytes = 4.3e8, .n_buckets = 18};
  auto quick = kLink;
  quick.bytes_per_second *= 10;
  double before = 1;
  for (const std::int64_t n : {2, 4, 8, 16, 64}) {
    EXPECT_LT(efficiency(step, n, kLink), before);
    EXPECT_GT(efficiency(step, n, quick), efficiency(step, n, kLink));
    before = efficiency(step, n, kLink);
  }
}

}  // namespace
}  // namespace melisma
