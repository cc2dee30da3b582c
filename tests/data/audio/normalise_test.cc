#include "data/audio/normalise.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/golden.h"

namespace melisma {
namespace {
using testing::golden_files;
using testing::GoldenFile;

TEST(GoldenNormalise, LevelsAreThoseOfThePeers) {
  const auto found = golden_files("rvc", "preprocess", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no rvc fixtures";
  const auto golden = GoldenFile::load(found.files.at(0));
  int n_compared = 0;
  for (; golden.has("normalise." + std::to_string(n_compared) + ".in"); ++n_compared) {
    const auto prefix = "normalise." + std::to_string(n_compared);
    SCOPED_TRACE(prefix);
    auto samples = golden.at(prefix + ".in").values;
    const auto& expected = golden.at(prefix + ".out").values;
    const auto outcome = normalise_level(std::span<double>(samples));
    if (expected.empty()) {
      EXPECT_EQ(outcome, Normalised::too_loud);
    } else {
      EXPECT_EQ(outcome, Normalised::done);
      EXPECT_TRUE(testing::near_all(expected, samples, 1e-15));
    }
  }
  EXPECT_GT(n_compared, 0);
}

TEST(Normalise, LeavesSilenceAndNonFiniteSamplesAlone) {
  std::vector<float> silence(10, 0.0f);
  EXPECT_EQ(normalise_level(std::span<float>(silence)), Normalised::silent);
  EXPECT_EQ(silence, std::vector<float>(10, 0.0f));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> samples{0.1f, bad, 0.2f};
    EXPECT_EQ(normalise_level(std::span<float>(samples)), Normalised::non_finite);
    EXPECT_EQ(samples[0], 0.1f);
  }
}

TEST(Normalise, ABlockTakesThePeakOfItsRecording) {
  std::vector<float> whole{0.5f, -0.25f, 0.1f}, block{-0.25f, 0.1f};
  ASSERT_EQ(normalise_level(std::span<float>(whole)), Normalised::done);
  ASSERT_EQ(normalise_level(std::span<float>(block), 0.5), Normalised::done);
  EXPECT_EQ(block[0], whole[1]);
  EXPECT_EQ(block[1], whole[2]);
}

}  // namespace
}  // namespace melisma
