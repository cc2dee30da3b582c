// Bootstrap intervals with the fixture's own indices, and what they promise.
#include "eval/statistics/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/statistics/quantile.h"
#include "tests/eval/statistics/statistics_fixture.h"

namespace melisma {
namespace {

// The fixture's index rule: (state * n) >> 32 over successive 32-bit states.
DrawIndex lcg_indices(uint32_t seed) {
  return [generator = testing::Lcg(seed)](int64_t n) mutable {
    return static_cast<int64_t>((static_cast<uint64_t>(generator.next_state()) * static_cast<uint64_t>(n)) >> 32);
  };
}

std::vector<double> differences_of(const nlohmann::json& fixture) {
  auto a = numbers_of(fixture["a"]);
  auto b = numbers_of(fixture["b"]);
  for (size_t i = 0; i < a.size(); ++i) b[i] -= a[i];
  return b;
}

void expect_interval(const nlohmann::json& expected, Interval got) {
  EXPECT_NEAR(got.low, expected[0].get<double>(), 1e-9);
  EXPECT_NEAR(got.high, expected[1].get<double>(), 1e-9);
}

}  // namespace

TEST(GoldenStatistics, BootstrapIntervals) {
  auto fixture = statistics_fixture();
  if (fixture.is_null()) GTEST_SKIP() << "no metrics fixtures here";
  auto values = differences_of(fixture);
  const std::pair<const char*, Statistic> statistics[] = {{"mean", [](auto v) { return mean(v); }},
                                                          {"median", [](auto v) { return median(v); }}};
  for (const auto& [name, statistic] : statistics) {
    SCOPED_TRACE(name);
    const auto& expected = fixture["bootstrap"][name];
    auto replicates = bootstrap(values, statistic, 2000, lcg_indices(511));
    EXPECT_NEAR(replicates.estimate, expected["estimate"].get<double>(), 1e-9);
    EXPECT_NEAR(replicates.standard_error, expected["se"].get<double>(), 1e-9);
    EXPECT_NEAR(mean(replicates.sorted), expected["replicates_mean"].get<double>(), 1e-9);
    expect_interval(expected["percentile"], percentile_interval(replicates, .95));
    expect_interval(expected["basic"], basic_interval(replicates, .95));
    auto bca = bca_interval(replicates, values, statistic, .95);
    EXPECT_NEAR(bca.z0, expected["z0"].get<double>(), 1e-9);
    EXPECT_NEAR(bca.acceleration, expected["acceleration"].get<double>(), 1e-9);
    expect_interval(expected["alpha"], bca.levels);
    expect_interval(expected["bca"], bca.interval);
  }
}

TEST(GoldenStatistics, ClusterBootstrap) {
  auto fixture = statistics_fixture();
  if (fixture.is_null()) GTEST_SKIP() << "no metrics fixtures here";
  const auto& expected = fixture["cluster_bootstrap"];
  auto values = differences_of(fixture);
  std::vector<std::vector<double>> clusters(6);
  for (size_t i = 0; i < values.size(); ++i) clusters[expected["cluster"][i].get<size_t>()].push_back(values[i]);
  auto replicates = cluster_bootstrap(
      clusters, [](auto v) { return mean(v); }, 1000, lcg_indices(512));
  EXPECT_NEAR(replicates.standard_error, expected["se"].get<double>(), 1e-9);
  EXPECT_NEAR(mean(replicates.sorted), expected["mean_of_replicates"].get<double>(), 1e-9);
  expect_interval(expected["percentile"], percentile_interval(replicates, .95));
}

TEST(MeanInterval, IsTheSameEveryTimeAndHoldsTheMean) {
  const double values[] = {1, 2, 4, 8, 9, 3};
  auto first = mean_interval(values);
  auto second = mean_interval(values);
  EXPECT_EQ(first.low, second.low);
  EXPECT_EQ(first.high, second.high);
  EXPECT_LT(first.low, first.mean);
  EXPECT_GT(first.high, first.mean);
  EXPECT_EQ(first.n, 6);
}

TEST(MeanInterval, HasNoBoundsForOneRecording) {
  const double values[] = {1.5};
  auto one = mean_interval(values);
  EXPECT_EQ(one.mean, 1.5);
  EXPECT_TRUE(std::isnan(one.low));
  EXPECT_TRUE(std::isnan(mean_interval({}).mean));
}

TEST(MeanInterval, ShrinksToAPointWhenNothingVaries) {
  const double values[] = {2, 2, 2};
  auto constant = mean_interval(values);
  EXPECT_EQ(constant.low, 2);
  EXPECT_EQ(constant.high, 2);
}

}  // namespace melisma
