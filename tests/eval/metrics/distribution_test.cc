// Distances of sets of features against scipy's matrix square root and the definition (golden/metrics/distribution).
#include "eval/metrics/distribution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <vector>

#include "tests/support/golden.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr std::size_t kWidth = 16;

std::vector<double> numbers(std::uint32_t seed, std::size_t n) {
  testing::Lcg random(seed);
  std::vector<double> values(n * kWidth);
  for (double& value : values) value = random.next();
  return values;
}

// The two clouds of the fixture.
struct Clouds {
  std::vector<double> a = numbers(431, 200), b = numbers(432, 150);
  Clouds() {
    for (std::size_t row = 0; row < a.size(); row += kWidth) a[row + 3] -= .4 * a[row + 2];
    for (double& value : b) value = 1.2 * value + .15;
    for (std::size_t row = 0; row < b.size(); row += kWidth) b[row + 1] += .5 * b[row];
  }
  [[nodiscard]] FeatureCloud of_a(std::size_t rows = 200) const { return {std::span(a).first(rows * kWidth), kWidth}; }
  [[nodiscard]] FeatureCloud of_b(std::size_t rows = 150) const { return {std::span(b).first(rows * kWidth), kWidth}; }
};

TEST(GoldenDistribution, FrechetDistanceAndKernelDistance) {
  const auto path = testing::golden_folder("metrics") / "distribution.json";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no metrics fixtures here";
  const auto fixture = testing::load_json(path);
  const Clouds clouds;
  const double full = fixture["frechet"]["value_eigen_route"];
  EXPECT_NEAR(frechet_distance(clouds.of_a(), clouds.of_b()), full, 1e-9 * full);
  const double deficient = fixture["frechet_rank_deficient"]["value"];
  EXPECT_NEAR(frechet_distance(clouds.of_a(10), clouds.of_b(8)), deficient, 1e-7 * deficient);
  const auto& kernel = fixture["kernel"];
  const double bandwidth = kernel["bandwidth"], mmd = kernel["mmd2_unbiased"];
  EXPECT_NEAR(median_distance(clouds.of_a()), bandwidth, 1e-9 * bandwidth);
  EXPECT_NEAR(squared_mmd(clouds.of_a(), clouds.of_b(), bandwidth), mmd, 1e-9 * mmd);
}

TEST(Distribution, OfACloudToItselfIsNothing) {
  const Clouds clouds;
  EXPECT_NEAR(frechet_distance(clouds.of_a(), clouds.of_a()), 0, 1e-12);
  EXPECT_NEAR(frechet_distance(clouds.of_a(), clouds.of_b()), frechet_distance(clouds.of_b(), clouds.of_a()), 1e-12);
  // Halves of one cloud: the unbiased estimate lies around zero.
  const FeatureCloud first{std::span(clouds.a).first(100 * kWidth), kWidth};
  const FeatureCloud second{std::span(clouds.a).subspan(100 * kWidth), kWidth};
  EXPECT_LT(std::abs(squared_mmd(first, second, 3)), .005);
}

TEST(Distribution, AShiftIsItsSquare) {
  const Clouds clouds;
  auto moved = clouds.a;
  for (std::size_t row = 0; row < moved.size(); row += kWidth) moved[row + 5] += 3;
  EXPECT_NEAR(frechet_distance(clouds.of_a(), {moved, kWidth}), 9, 1e-9);
}

TEST(Distribution, TooFewVectorsAndOtherWidthsAreRefused) {
  const Clouds clouds;
  EXPECT_THROW((void)frechet_distance(clouds.of_a(1), clouds.of_b()), Error);
  EXPECT_THROW((void)squared_mmd(clouds.of_a(), {clouds.b, 8}, 1), Error);
  EXPECT_THROW((void)median_distance({{}, 0}), Error);
}

}  // namespace
}  // namespace melisma
