#include "data/signal/weighted_loudness.h"

#include <gtest/gtest.h>

#include "tests/support/golden.h"

namespace melisma {
namespace {
using testing::golden_files;
using testing::GoldenFile;
using testing::near_all;

TEST(GoldenLoudness, EqualsTorchcrepesAWeightedLevels) {
  const auto found = golden_files("loudness", "a_weighted", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  const auto signals = GoldenFile::load(testing::golden_folder("rvc") / "f0_classic.safetensors");
  for (const auto& path : found.files) {
    const auto golden = GoldenFile::load(path);
    for (const std::string name : {"glide", "noise", "voice"}) {
      auto wave = signals.at(name + ".audio_i16").floats();
      for (auto& sample : wave) sample /= 32768;
      EXPECT_TRUE(near_all(golden.at(name + ".loudness_db").values, a_weighted_loudness_db(wave), 1e-3)) << name;
    }
    std::vector<double> db;
    for (const auto hz : golden.at("a_weighting.hz").values) db.push_back(a_weighting_db(hz));
    EXPECT_TRUE(near_all(golden.at("a_weighting.db").values, db, 1e-9));
  }
}

TEST(Loudness, OfNothingIsTheFloor) {
  for (const auto db : a_weighted_loudness_db(std::vector<float>(3200))) EXPECT_EQ(db, -100);
  EXPECT_EQ(a_weighted_loudness_db({}).size(), 1U);
}

}  // namespace
}  // namespace melisma
