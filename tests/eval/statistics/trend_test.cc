// The trend test against pymannkendall and scipy, and its edges.
#include "eval/statistics/trend.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/eval/statistics/statistics_fixture.h"
#include "tools/base/error.h"

namespace melisma {

TEST(GoldenStatistics, MannKendallTrendAndSenSlope) {
  auto fixture = statistics_fixture();
  if (fixture.is_null()) {
    GTEST_SKIP() << "no metrics fixtures here";
  }
  for (const auto& [name, expected] : fixture["mann_kendall"]["cases"].items()) {
    SCOPED_TRACE(name);
    auto test = mann_kendall(numbers_of(expected["y"]));
    EXPECT_DOUBLE_EQ(test.s, expected["s"].get<double>());
    EXPECT_NEAR(test.variance, expected["var_s"].get<double>(), 1e-9);
    EXPECT_NEAR(test.z, expected["z"].get<double>(), 1e-9);
    EXPECT_TRUE(near_relative(expected["p_two_sided"], test.p_two_sided, 1e-10));
    EXPECT_NEAR(test.kendall_tau, expected["kendall_tau"].get<double>(), 1e-9);
    EXPECT_NEAR(test.sen_slope, expected["sen_slope"].get<double>(), 1e-9);
    EXPECT_NEAR(test.sen_intercept, expected["sen_intercept"].get<double>(), 1e-9);
    ASSERT_EQ(test.p_exact.has_value(), !expected["kendall_exact_p"].is_null());
    if (test.p_exact) {
      EXPECT_TRUE(near_relative(expected["kendall_exact_p"], *test.p_exact, 1e-10));
    }
  }
}

TEST(MannKendall, OneSidedProbabilitiesPointTheRightWay) {
  const double rising[] = {1, 2, 3, 5, 8, 13};
  auto up = mann_kendall(rising);
  EXPECT_LT(up.p_rising, .01);
  EXPECT_GT(up.p_falling, .99);
  const double falling[] = {13, 8, 5, 3, 2, 1};
  auto down = mann_kendall(falling);
  EXPECT_NEAR(down.p_falling, up.p_rising, 1e-15);
}

TEST(MannKendall, IsNeutralOnConstantAndTinySeries) {
  const double constant[] = {2, 2, 2, 2};
  EXPECT_EQ(mann_kendall(constant).p_two_sided, 1);
  EXPECT_EQ(mann_kendall(constant).p_rising, 1);
  EXPECT_EQ(mann_kendall({}).p_rising, 1);
  EXPECT_EQ(mann_kendall(std::span(constant, 1)).sen_slope, 0);
}

TEST(MannKendall, RefusesNonFiniteValues) {
  const double broken[] = {1, std::numeric_limits<double>::quiet_NaN(), 2};
  EXPECT_THROW((void)mann_kendall(broken), Error);
}

}  // namespace melisma
