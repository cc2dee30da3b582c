// Pitch methods that are networks, with networks of a few numbers made by formula.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "data/signal/weighted_loudness.h"
#include "infer/features/pitch.h"
#include "models/pitch/crepe.h"
#include "models/pitch/fcpe.h"
#include "models/pitch/pitch_files.h"
#include "models/pitch/rmvpe.h"
#include "models/weights/safetensors.h"
#include "tests/models/pitch/networks.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::fixture_signal;
using testing::formula_weights_for;
using ::testing::HasSubstr;

constexpr RmvpeShape kRmvpe{.levels = 2, .blocks = 1, .bottom_layers = 1, .first_channels = 2, .hidden = 4};
constexpr CrepeShape kCrepe{{4, 3, 3, 3, 3, 3}};
constexpr FcpeShape kFcpe{.mel = {.n_mels = 16}, .hidden = 8, .inner = 4, .layers = 1, .kernel = 3, .bins = 36};

class PitchNetworks : public ::testing::Test {
 protected:
  PitchNetworks() {
    write("rmvpe.pt", formula_weights_for<Rmvpe>(kRmvpe, "a/"));
    write("crepe-full.pth", formula_weights_for<Crepe>(kCrepe, "a/"));
    write("crepe-tiny.pth", formula_weights_for<Crepe>(kCrepe, "b/"));
    auto fcpe = formula_weights_for<Fcpe>(kFcpe, "a/");
    fcpe.replace("cent_table", at::linspace(2051, 9151, 36));
    write("fcpe.pt", fcpe);
    ::setenv("MELISMA_WEIGHTS", folder_.path().c_str(), 1);
  }
  ~PitchNetworks() override { ::unsetenv("MELISMA_WEIGHTS"); }
  void write(const std::string& name, const StateDict& weights) const {
    write_safetensors(folder_ / name, weights, {});
  }
  static std::string message_of(const PitchConfig& config) {
    try {
      (void)extract_pitch(std::vector<float>(16000), config);
    } catch (const Error& error) {
      return error.message();
    }
    return "accepted";
  }
  testing::TemporaryFolder folder_;
};

std::vector<PitchConfig> each_network() {
  std::vector<PitchConfig> configs;
  for (const auto& method : kPitchMethods) {
    if (method.needs_weights) configs.push_back({.method = std::string(method.name), .fmin_hz = 20, .fmax_hz = 4000});
  }
  return configs;
}

TEST_F(PitchNetworks, GiveOneValueAFrameWhateverTheyHear) {
  for (auto config : each_network()) {
    config.rmvpe.threshold = config.crepe.threshold = config.crepe_tiny.threshold = 0;
    const auto wave = fixture_signal("noise");
    const auto f0 = extract_pitch(wave, config);
    EXPECT_EQ(f0.size(), wave.size() / 160) << config.method;
    EXPECT_THAT(f0, ::testing::Each(::testing::Gt(30.0F))) << config.method;
    EXPECT_TRUE(extract_pitch(std::span<const float>{}, config).empty());
    EXPECT_TRUE(extract_pitch(std::vector<float>(159, 0.1F), config).empty());
    EXPECT_EQ(extract_pitch(std::vector<float>(160, 0.1F), config).size(), 1U);
    const std::vector<float> broken(8000, std::nanf(""));
    EXPECT_EQ(extract_pitch(broken, config), extract_pitch(std::vector<float>(8000), config)) << config.method;
  }
}

TEST_F(PitchNetworks, DoNotDependOnTheNumberOfThreads) {
  const auto wave = fixture_signal("voice");
  for (const auto& config : each_network()) {
    const auto one = extract_pitch(wave, config, 1);
    EXPECT_TRUE(testing::near_all(std::vector<double>(one.begin(), one.end()), extract_pitch(wave, config, 3), 0, 1e-4))
        << config.method;
  }
}

TEST_F(PitchNetworks, ThresholdsAndRangeDecideVoicing) {
  const auto wave = fixture_signal("voice");
  const auto voiced = [&](const PitchConfig& config) {
    return summarise_pitch(extract_pitch(wave, config)).voiced_share;
  };
  for (auto config : each_network()) {
    config.rmvpe.threshold = config.crepe.threshold = config.crepe_tiny.threshold = config.fcpe.threshold = 0;
    EXPECT_EQ(voiced(config), 1) << config.method;
    config.rmvpe.threshold = config.crepe.threshold = config.crepe_tiny.threshold = config.fcpe.threshold = 1;
    EXPECT_EQ(voiced(config), 0) << config.method;
  }
  // A range that lies beside what the network hears everywhere.
  const auto f0 = extract_pitch(wave, {.method = "rmvpe", .fmin_hz = 20, .fmax_hz = 4000, .rmvpe = {.threshold = 0}});
  const auto lowest = *std::min_element(f0.begin(), f0.end());
  EXPECT_EQ(voiced({.method = "rmvpe", .fmin_hz = 20, .fmax_hz = lowest * 0.99, .rmvpe = {.threshold = 0}}), 0);
}

TEST_F(PitchNetworks, CrepeIsSilentWhereTheEarHearsNothing) {
  auto wave = fixture_signal("voice");
  std::fill(wave.begin(), wave.begin() + 16000, 0.0F);
  PitchConfig config{.method = "crepe-tiny"};
  config.crepe_tiny.threshold = 0;
  config.crepe_tiny.silence_db = -66;
  const auto f0 = extract_pitch(wave, config);
  const auto levels = a_weighted_loudness_db(wave);
  for (std::size_t t = 0; t < f0.size(); ++t) EXPECT_EQ(f0[t] > 0, levels[t] >= -66) << t;
  EXPECT_EQ(f0[50], 0);
  EXPECT_GT(*std::max_element(f0.begin(), f0.end()), 0);
}

TEST_F(PitchNetworks, DecodersDiffer) {
  const auto wave = fixture_signal("voice");
  PitchConfig viterbi{.method = "crepe"}, argmax = viterbi, weighted = viterbi, all{.method = "fcpe"}, local = all;
  argmax.crepe.decoder = "argmax", weighted.crepe.decoder = "weighted-argmax", all.fcpe.decoder = "argmax";
  EXPECT_NE(extract_pitch(wave, viterbi), extract_pitch(wave, weighted));
  EXPECT_NE(extract_pitch(wave, argmax), extract_pitch(wave, weighted));
  EXPECT_NE(extract_pitch(wave, all), extract_pitch(wave, local));
}

TEST_F(PitchNetworks, FeaturesAreFiledUnderTheirWeights) {
  const PitchConfig config{.method = "rmvpe"};
  const auto sha256 = sha256_of_weights(folder_ / "rmvpe.pt");
  const auto key = key_of(config);
  EXPECT_EQ(key.parameters, R"({"method":"rmvpe","fmin_hz":50.0,"fmax_hz":1100.0,"rmvpe":{"weights_sha256":")" +
                                sha256 + R"(","threshold":0.03},"revision":1})");
  // Neither the path nor the settings of other methods count.
  PitchConfig elsewhere = config;
  elsewhere.rmvpe.weights = (folder_ / "rmvpe.pt").string();
  elsewhere.crepe.threshold = 0.5;
  EXPECT_EQ(key_of(elsewhere).parameters, key.parameters);
  const auto back = pitch_config_of(key.parameters);
  EXPECT_EQ(back.rmvpe.weights_sha256, sha256);
  EXPECT_EQ(key_of(back).parameters, key.parameters);
  const auto before = extract_pitch(fixture_signal("glide"), config);
  EXPECT_EQ(extract_pitch(fixture_signal("glide"), back), before);
  std::filesystem::rename(folder_ / "rmvpe.pt", folder_ / "renamed.pt");
  EXPECT_EQ(extract_pitch(fixture_signal("glide"), back), before);
  std::filesystem::rename(folder_ / "renamed.pt", folder_ / "rmvpe.pt");
  write("rmvpe.pt", formula_weights_for<Rmvpe>(kRmvpe, "other/"));
  std::filesystem::last_write_time(folder_ / "rmvpe.pt",
                                   std::filesystem::last_write_time(folder_ / "rmvpe.pt") + std::chrono::seconds(2));
  EXPECT_NE(key_of(config).parameters, key.parameters);
  EXPECT_THAT(message_of(back), HasSubstr("weights of SHA-256 " + sha256));
}

TEST_F(PitchNetworks, StoredFeaturesNameTheWeightsThatAreNotAtHand) {
  const PitchConfig config{.method = "median(rmvpe,  pyin)"};
  const auto key = key_of(config);
  EXPECT_THAT(key.parameters, HasSubstr(R"json("method":"median(rmvpe, pyin)")json"));
  const std::vector<FeatureKey> stored{{"content", key.parameters}, key_of(PitchConfig{}), key};
  std::filesystem::remove(folder_ / "rmvpe.pt");
  EXPECT_THROW((void)key_of(config), Error);
  const auto named = pitch_as_stored(config, stored);
  EXPECT_EQ(key_of(named).parameters, key.parameters);
  EXPECT_EQ(named.rmvpe.weights, "rmvpe.pt");
  EXPECT_EQ(pitch_as_stored({.method = "fcpe"}, stored).fcpe.weights_sha256, "");
  PitchConfig other = config;
  other.rmvpe.threshold = 0.1;
  EXPECT_EQ(pitch_as_stored(other, stored).rmvpe.weights_sha256, "");
  auto twice = stored;
  twice.push_back({"pitch", key.parameters});
  twice.back().parameters.replace(twice.back().parameters.find(R"(256":")") + 6, 4, "0000");
  EXPECT_THROW((void)pitch_as_stored(config, twice), Error);
}

TEST_F(PitchNetworks, MissingWeightsAreNamedWithWhereTheyWereLookedFor) {
  std::filesystem::remove(folder_ / "crepe-tiny.pth");
  EXPECT_THAT(message_of({.method = "crepe-tiny"}), HasSubstr("there are no weights 'crepe-tiny.pth'"));
  EXPECT_THAT(message_of({.method = "median(pyin, crepe-tiny)"}), HasSubstr(folder_.path().string()));
}

}  // namespace
}  // namespace melisma
