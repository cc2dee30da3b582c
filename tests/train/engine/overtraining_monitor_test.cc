#include "train/engine/overtraining_monitor.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tools/base/error.h"

namespace melisma {
namespace {

TEST(OvertrainingMonitor, RefusesTheFirstEpochAfterAResumeWhenPatienceIsSpent) {
  OvertrainingMonitor monitor({.rule = "patience", .patience = 3});
  monitor.observe_each({1.0, 0.9, 0.91, 0.92, 0.93});
  auto resumed = OvertrainingMonitor::from_state(monitor.state());
  EXPECT_EQ(resumed.before_epoch(6), Decision::stop("no improvement since epoch 2"));
}

TEST(OvertrainingMonitor, PatienceLetsTheLastPermittedEpochStart) {
  OvertrainingMonitor monitor({.rule = "patience", .patience = 3});
  monitor.observe_each({1.0, 0.9, 0.91, 0.92});
  EXPECT_EQ(monitor.before_epoch(5), Decision::go_on());
}

TEST(OvertrainingMonitor, AnImprovementStartsPatienceAnew) {
  OvertrainingMonitor monitor({.rule = "patience", .patience = 2});
  monitor.observe_each({1.0, 1.1, 0.9, 1.0});
  EXPECT_EQ(monitor.before_epoch(5), Decision::go_on());
  monitor.observe({.epoch = 5, .step = 5, .score = 0.95});
  EXPECT_EQ(monitor.before_epoch(6), Decision::stop("no improvement since epoch 3"));
}

TEST(OvertrainingMonitor, FallsSmallerThanMinDeltaAreNoImprovement) {
  OvertrainingMonitor monitor({.rule = "patience", .patience = 2, .min_delta = 0.1});
  monitor.observe_each({1.0, 0.95, 0.92});
  EXPECT_EQ(monitor.before_epoch(4), Decision::stop("no improvement since epoch 1"));
  EXPECT_EQ(monitor.best()->epoch, 3);
}

TEST(OvertrainingMonitor, ANaNScoreIsNoImprovement) {
  OvertrainingMonitor monitor({.rule = "patience", .patience = 2});
  monitor.observe_each({1.0, std::nan(""), std::nan("")});
  EXPECT_EQ(OvertrainingMonitor::from_state(monitor.state()).before_epoch(4),
            Decision::stop("no improvement since epoch 1"));
}

TEST(OvertrainingMonitor, TrendStopsWhenTheWindowRises) {
  OvertrainingMonitor monitor({.rule = "trend", .window = 6, .alpha = 0.05});
  monitor.observe_each({3.0, 2.0, 1.0, 1.1, 1.2, 1.15, 1.3});
  EXPECT_EQ(monitor.before_epoch(8), Decision::go_on());
  monitor.observe({.epoch = 8, .step = 8, .score = 1.4});
  EXPECT_TRUE(monitor.before_epoch(9).stops) << "the last six rise in 14 of 15 pairs";
}

TEST(OvertrainingMonitor, TrendIgnoresNoiseAroundALevel) {
  OvertrainingMonitor monitor({.rule = "trend", .window = 6, .alpha = 0.05});
  monitor.observe_each({1.0, 1.2, 0.9, 1.1, 1.0, 1.15});
  EXPECT_EQ(monitor.before_epoch(7), Decision::go_on());
}

TEST(OvertrainingMonitor, TrendWaitsForAFullWindow) {
  OvertrainingMonitor monitor({.rule = "trend", .window = 6, .alpha = 0.05});
  monitor.observe_each({1.0, 1.1, 1.2, 1.3, 1.4});
  EXPECT_EQ(monitor.before_epoch(6), Decision::go_on());
}

TEST(OvertrainingMonitor, GapStopsWhenOnlyTrainingClipsImprove) {
  OvertrainingMonitor monitor({.rule = "gap", .window = 5, .alpha = 0.05});
  for (std::int64_t epoch = 1; epoch <= 5; ++epoch) {
    const auto e = static_cast<double>(epoch);
    monitor.observe({.epoch = epoch, .step = epoch, .score = 1.0, .training_score = 1.0 - 0.1 * e});
  }
  const auto decision = OvertrainingMonitor::from_state(monitor.state()).before_epoch(6);
  EXPECT_EQ(decision, Decision::stop("over the last 5 evaluations mel_distance fell on training clips while its "
                                     "distance to held-out clips grew from 0.1 to 0.5"));
}

TEST(OvertrainingMonitor, GapGoesOnWhenBothImproveTogether) {
  OvertrainingMonitor monitor({.rule = "gap", .window = 5, .alpha = 0.05});
  for (std::int64_t epoch = 1; epoch <= 8; ++epoch) {
    const double training = 1.0 / static_cast<double>(epoch);
    monitor.observe({.epoch = epoch, .step = epoch, .score = training + 0.1, .training_score = training});
  }
  EXPECT_EQ(monitor.before_epoch(9), Decision::go_on());
}

TEST(OvertrainingMonitor, OffNeverStops) {
  OvertrainingMonitor monitor({.rule = "off"});
  monitor.observe_each({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  EXPECT_EQ(monitor.before_epoch(13), Decision::go_on());
}

TEST(OvertrainingMonitor, TheFirstOfEqualScoresIsBest) {
  OvertrainingMonitor monitor({.rule = "off"});
  monitor.observe_each({2.0, 1.0, 1.0});
  EXPECT_EQ(monitor.best()->epoch, 2);
}

TEST(OvertrainingMonitor, StateKeepsEveryDigit) {
  OvertrainingMonitor monitor({.rule = "off"});
  monitor.observe_each({0.1 + 0.2, 1e-300, 1.0 / 3.0});
  const auto restored = OvertrainingMonitor::from_state(monitor.state());
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(restored.history()[i].score, monitor.history()[i].score);
}

TEST(OvertrainingMonitor, UnknownRuleSuggestsTheNearest) {
  try {
    OvertrainingMonitor monitor({.rule = "patiense"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "config: unknown overtraining rule 'patiense'; did you mean 'patience'? known: patience, trend, gap, "
                 "off");
  }
}

}  // namespace
}  // namespace melisma
