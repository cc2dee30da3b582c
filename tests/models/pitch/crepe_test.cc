#include "models/pitch/crepe.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/pitch/crepe_decoder.h"
#include "models/pitch/front_end.h"
#include "models/pitch/salience.h"
#include "tests/models/pitch/networks.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::fixture_signal;
using testing::formula_network;
using testing::golden_files;
using testing::GoldenFile;
using testing::near_all;
using testing::near_tensor;
using testing::tensor_of;

constexpr CrepeShape kTinyCrepe{{128, 16, 16, 16, 32, 64}};
constexpr float kNoNumber = std::numeric_limits<float>::quiet_NaN();

TEST(GoldenCrepe, HearsTheFramesOfThePackage) {
  const auto found = golden_files("rvc", "f0_crepe", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& path : found.files) {
    const auto golden = GoldenFile::load(path);
    const auto wave = fixture_signal("glide");
    const auto frames = crepe_frames(wave, 0, network_frames(std::ssize(wave)));
    const auto kept = frames.index_select(0, at::tensor({0, 40, 220}, at::kLong));
    for (const std::string model : {"full", "tiny"}) {
      EXPECT_TRUE(near_tensor(golden.at("glide." + model + ".frames_head"), kept, 1e-5));
    }
  }
}

TEST(GoldenCrepe, TheNetworkEqualsThePackages) {
  const auto found = golden_files("rvc", "crepe_tiny_formula", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& path : found.files) {
    const auto golden = GoldenFile::load(path);
    StateDict weights;
    for (const auto& key : golden.json("keys")) {
      weights.add(key[0], testing::formula_weight("crepe/", key[0], key[1].get<std::vector<std::int64_t>>()));
    }
    EXPECT_EQ(crepe_shape_of(weights), kTinyCrepe);
    NamedWeights named(weights);
    const Crepe network(kTinyCrepe, named);
    named.check();
    for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_EQ(named.taken()[i].name, weights.items()[i].first);
    EXPECT_TRUE(near_tensor(golden.at("prob"), network(tensor_of(golden.at("frames"))), 1e-6));
  }
}

TEST(Crepe, BatchesDoNotChangeTheResult) {
  const auto network = formula_network<Crepe>(CrepeShape{{8, 4, 4, 4, 4, 4}}, "crepe/small/");
  const auto wave = fixture_signal("noise");
  const auto whole = network.listen(wave, 1000);
  EXPECT_EQ(std::ssize(whole), 76 * 360);
  for (const std::int64_t batch : {1, 7, 32}) {
    EXPECT_TRUE(near_all(std::vector<double>(whole.begin(), whole.end()), network.listen(wave, batch), 1e-6)) << batch;
  }
}

TEST(Crepe, RefusesOtherNetworks) {
  StateDict other;
  other.add("conv1.weight", at::zeros({4, 1, 512}));
  EXPECT_THROW((void)crepe_shape_of(other), Error);
}

// Probabilities in which each frame has one bin of `peak` and the others of 0.1.
std::vector<float> peaks(const std::vector<std::int64_t>& bins, float peak = 0.9F) {
  std::vector<float> probabilities(bins.size() * kPitchBins, 0.1F);
  for (std::size_t t = 0; t < bins.size(); ++t) probabilities[t * kPitchBins + bins[t]] = peak;
  return probabilities;
}

TEST(CrepeDecoder, ArgmaxTakesTheStrongestBinInRange) {
  const auto track = decode_crepe(peaks({100, 10, 350}), CrepeDecoder::argmax, 50, 1100);
  EXPECT_FLOAT_EQ(track.hz[0], static_cast<float>(hz_of_cents(cents_of_bin(100))));
  EXPECT_FLOAT_EQ(track.periodicity[0], 0.9F);
  // Bins 10 (35.6 Hz) and 350 (1805 Hz) are outside: what is left is level, and its first bin is taken.
  for (const auto t : {1, 2}) {
    EXPECT_FLOAT_EQ(track.hz[t], static_cast<float>(hz_of_cents(cents_of_bin(39)))) << t;
    EXPECT_FLOAT_EQ(track.periodicity[t], 0.1F);
  }
}

TEST(CrepeDecoder, WeightedArgmaxLeansTowardsTheStrongerNeighbour) {
  auto probabilities = peaks({100});
  const auto plain = decode_crepe(probabilities, CrepeDecoder::weighted_argmax, 50, 1100);
  EXPECT_NEAR(cents_of_hz(plain.hz[0]), cents_of_bin(100), 1e-3);
  probabilities[101] = 0.8F;
  const auto leaning = decode_crepe(probabilities, CrepeDecoder::weighted_argmax, 50, 1100);
  EXPECT_GT(cents_of_hz(leaning.hz[0]), cents_of_bin(100) + 0.2);
}

TEST(CrepeDecoder, ViterbiRidesOverOneWildFrame) {
  const auto probabilities = peaks({100, 101, 250, 102, 103});
  const auto jumpy = decode_crepe(probabilities, CrepeDecoder::argmax, 50, 1100);
  EXPECT_GT(jumpy.hz[2], 400);
  const auto smooth = decode_crepe(probabilities, CrepeDecoder::viterbi, 50, 1100);
  for (const auto t : {0, 1, 3, 4}) EXPECT_EQ(smooth.hz[t], jumpy.hz[t]) << t;
  EXPECT_LT(smooth.hz[2], 110);
  EXPECT_FLOAT_EQ(smooth.periodicity[2], 0.1F);
}

TEST(CrepeDecoder, NothingIsFoundInAnEmptyRange) {
  const auto track = decode_crepe(peaks({100}), CrepeDecoder::viterbi, 2100, 3000);
  EXPECT_EQ(track.hz[0], 0);
  EXPECT_EQ(track.periodicity[0], 0);
}

TEST(CrepeFilters, LeaveOutWhatIsNoNumber) {
  const std::vector<float> values{1, kNoNumber, 5, 3, kNoNumber, kNoNumber, kNoNumber};
  EXPECT_TRUE(near_all(std::vector<double>{1, 1, 3, 3, 3, NAN, NAN}, median_filter(values, 3), 0));
  EXPECT_TRUE(near_all(std::vector<double>{1, 3, 4, 4, 3, NAN, NAN}, mean_filter(values, 3), 0));
  EXPECT_TRUE(near_all(std::vector<double>{NAN}, mean_filter(std::vector<float>{0}, 3), 0));
}

}  // namespace
}  // namespace melisma
