#include "eval/statistics/mann_kendall.h"

#include <gtest/gtest.h>

#include <vector>

namespace melisma {
namespace {

// Expected by the textbook formulas: s = 45, variance = 10 * 9 * 25 / 18 = 125, z = 44 / sqrt(125).
TEST(MannKendall, ASteadyRiseOfTenIsSignificant) {
  const auto result = mann_kendall(std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  EXPECT_EQ(result.s, 45);
  EXPECT_DOUBLE_EQ(result.variance, 125);
  EXPECT_NEAR(result.z, 3.93548, 1e-5);
  EXPECT_NEAR(result.p_rising, 4.151e-5, 1e-8);
}

TEST(MannKendall, AFallIsNotARise) { EXPECT_GT(mann_kendall(std::vector<double>{5, 4, 3, 2, 1}).p_rising, 0.95); }

TEST(MannKendall, TiesNarrowTheVariance) {
  // Two pairs of ties of two: 5 * 4 * 15 / 18 - 2 * (2 * 1 * 9 / 18).
  EXPECT_NEAR(mann_kendall(std::vector<double>{1, 1, 2, 2, 3}).variance, 50.0 / 3 - 2, 1e-12);
}

TEST(MannKendall, EqualOrMissingValuesNeverRise) {
  EXPECT_EQ(mann_kendall(std::vector<double>{2, 2, 2, 2}).p_rising, 1);
  EXPECT_EQ(mann_kendall(std::vector<double>{}).p_rising, 1);
  EXPECT_EQ(mann_kendall(std::vector<double>{1}).p_rising, 1);
}

}  // namespace
}  // namespace melisma
