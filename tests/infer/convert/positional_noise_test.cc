#include "infer/convert/positional_noise.h"

#include <gtest/gtest.h>

namespace melisma {
namespace {

TEST(PositionalNoise, AnyCutOfTheSameStreamAgrees) {
  const auto whole = positional_normal(7, "prior", 3, 0, 2000);
  for (const std::int64_t first : {0, 1, 255, 256, 257, 1300}) {
    const auto part = positional_normal(7, "prior", 3, first, 600);
    EXPECT_TRUE(at::equal(part, whole.narrow(1, first, 600))) << first;
  }
}

TEST(PositionalNoise, IsStandardNormalAndDependsOnSeedAndStream) {
  const auto noise = positional_normal(7, "prior", 64, 0, 4096);
  EXPECT_NEAR(noise.mean().item<double>(), 0, 0.01);
  EXPECT_NEAR(noise.std().item<double>(), 1, 0.01);
  EXPECT_FALSE(at::equal(noise, positional_normal(8, "prior", 64, 0, 4096)));
  EXPECT_FALSE(at::equal(noise, positional_normal(7, "source", 64, 0, 4096)));
}

}  // namespace
}  // namespace melisma
