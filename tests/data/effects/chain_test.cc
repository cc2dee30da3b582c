// Chains from TOML: order, and every problem said at once.
#include <gtest/gtest.h>

#include <set>

#include "tests/data/effects/known_signals.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {
using testing::effect_table;
using testing::kRate;
using testing::made_of;
using testing::through;

class ChainFile : public ::testing::Test {
 protected:
  std::string refusal(const std::string& toml) const {
    write_file_atomically(folder_ / "chain.toml", toml);
    auto text = testing::refusal_of(ErrorKind::config, [&] { (void)EffectChain::read(folder_ / "chain.toml"); });
    const auto place = folder_.path().string() + "/";
    for (auto at = text.find(place); at != std::string::npos; at = text.find(place)) text.erase(at, place.size());
    return text;
  }
  testing::TemporaryFolder folder_;
};

TEST_F(ChainFile, EffectsWorkInTheOrderOfTheFile) {
  const auto clip = effect_table("clipping\nthreshold_db = -6.0206"), gain = effect_table("gain\ngain_db = 6.0206");
  const Waveform one{{1.0F}, 1, kRate};
  EXPECT_NEAR(through(*made_of(clip + gain), one).samples[0], 1, 1e-5);
  EXPECT_NEAR(through(*made_of(gain + clip), one).samples[0], 0.5, 1e-5);
  write_file_atomically(folder_ / "chain.toml", clip + gain + clip);
  EXPECT_EQ(EffectChain::read(folder_ / "chain.toml").names(),
            (std::vector<std::string>{"clipping", "gain", "clipping"}));
}

TEST_F(ChainFile, LatenciesOfAChainAddUpToNone) {
  const auto limiter = effect_table("limiter\nceiling_db = 0"), shift = effect_table("formant-shift\nratio = 1");
  const auto in = testing::noise(0.3, 0.4);
  const auto out = through(*made_of(limiter + shift + limiter + effect_table("delay\nmix = 0")), {in, 1, kRate}, {999});
  EXPECT_TRUE(testing::near_all(std::vector<double>(in.begin(), in.end()), out.samples, 1e-5));
}

TEST_F(ChainFile, SaysEveryProblemAtOnceWithItsPlace) {
  EXPECT_EQ(
      refusal("[[effect]]\n"
              "name = \"compresor\"\n"
              "[[effect]]\n"
              "name = \"delay\"\n"
              "time = 3\n"
              "mix = 1.5\n"
              "feedback = \"much\"\n"
              "[[effect]]\n"
              "gain_db = 3\n"
              "[[efect]]\n"
              "name = \"gain\"\n"),
      "6 problems:\n"
      "  chain.toml:1:1: unknown effect 'compresor'; did you mean 'compressor'? known: gain, limiter, compressor, "
      "noise-gate, eq-peak, low-shelf, high-shelf, high-pass, low-pass, ladder, reverb, convolution, delay, "
      "chorus, phaser, distortion, clipping, bitcrush, resample, pitch-shift, formant-shift, mp3\n"
      "  chain.toml:5:1: unknown key 'time'; did you mean 'time_ms'?\n"
      "  chain.toml:6:1: 'mix' must be between 0 and 1, found 1.5\n"
      "  chain.toml:7:1: 'feedback' expects number, found \"much\"\n"
      "  chain.toml:8:1: this [[effect]] has no name = \"...\"\n"
      "  chain.toml:10:3: 'efect' is no [[effect]]; this file is a list of such tables");
}

TEST_F(ChainFile, RefusesFilesThatAreNoChains) {
  EXPECT_EQ(refusal(""), "'chain.toml' has no [[effect]]");
  EXPECT_EQ(refusal("[effect]\nname = \"gain\"\n"),
            "chain.toml:1:2: 'effect' is no [[effect]]; this file is a list of such tables");
  EXPECT_EQ(refusal("effect = 3\n"), "chain.toml:1:1: 'effect' is no [[effect]]; this file is a list of such tables");
  EXPECT_EQ(refusal("effect = []\n"), "chain.toml:1:1: 'effect' is no [[effect]]; this file is a list of such tables");
  EXPECT_NE(refusal("[[effect\n").find("chain.toml:1:"), std::string::npos);
  EXPECT_EQ(testing::refusal_of(ErrorKind::config, [&] { (void)EffectChain::read("nowhere.toml"); }),
            "no settings file 'nowhere.toml'");
}

TEST(EffectTable, NamesAreUniqueAndEverySettingExplainsItself) {
  std::set<std::string_view> names;
  for (const auto& row : kEffects) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.summary.empty()) << row.name;
  }
  AllEffectSettings settings;
  for (const auto& setting : settings.schema()) EXPECT_FALSE(setting.help.empty()) << setting.path;
}

}  // namespace
}  // namespace melisma
