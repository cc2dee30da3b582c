// What every effect keeps: length, place, and the same bits however the signal is cut.
#include <gtest/gtest.h>

#include "data/audio/audio_writer.h"
#include "tests/data/effects/known_signals.h"
#include "tests/support/property.h"

namespace melisma {
namespace {
using testing::effect_table;
using testing::kRate;
using testing::noise;
using testing::through;

// Every effect with settings under which it does something. A row of kEffects without an entry fails.
const std::map<std::string, std::string>& settings() {
  static const std::map<std::string, std::string> all{
      {"gain", "gain_db = -3"},
      {"limiter", "ceiling_db = -12"},
      {"compressor", "threshold_db = -20"},
      {"noise-gate", "threshold_db = -11"},
      {"eq-peak", "gain_db = 6"},
      {"low-shelf", "gain_db = 6"},
      {"high-shelf", "gain_db = 6\nfrequency_hz = 3000"},
      {"high-pass", "order = 5"},
      {"low-pass", "order = 3\nfrequency_hz = 3000"},
      {"ladder", "resonance = 0.7\ndrive_db = 6"},
      {"reverb", ""},
      {"convolution", "impulse = \"room.wav\""},
      {"delay", "time_ms = 3.3\nfeedback = 0.4"},
      {"chorus", "voices = 2\nfeedback = 0.3"},
      {"phaser", "feedback = 0.5"},
      {"distortion", ""},
      {"clipping", "threshold_db = -12"},
      {"bitcrush", ""},
      {"resample", ""},
      {"pitch-shift", "semitones = 3.7"},
      {"formant-shift", "ratio = 1.3"},
      {"mp3", "bitrate_kbps = 64"},
  };
  return all;
}

class EveryEffect : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(settings().contains(GetParam())) << "no settings to test " << GetParam() << " with";
    write_audio(folder_ / "room.wav", {noise(0.5, 0.12, 3), 1, kRate}, "wav32f");
    write_file_atomically(folder_ / "chain.toml", effect_table(GetParam() + "\n" + settings().at(GetParam())));
  }
  [[nodiscard]] std::unique_ptr<Effect> made(std::int64_t n_channels, std::int64_t rate_hz = kRate) const {
    return EffectChain::read(folder_ / "chain.toml").make(rate_hz, n_channels);
  }
  testing::TemporaryFolder folder_;
};

TEST_P(EveryEffect, GivesTheSameBitsHoweverTheSignalIsCut) {
  const Waveform wave{noise(0.7, 0.5), 2, kRate};
  const auto whole = through(*made(2), wave);
  ASSERT_EQ(whole.n_frames(), wave.n_frames());
  EXPECT_NE(whole.samples, wave.samples) << "the settings do nothing";
  EXPECT_TRUE(testing::holds(6, [&](const std::vector<std::uint16_t>& drawn) {
    std::vector<std::int64_t> sizes{1};
    for (const auto size : drawn) sizes.push_back(1 + size % 5000);
    RC_ASSERT(through(*made(2), wave, sizes).samples == whole.samples);
  }));
  EXPECT_EQ(through(*made(2), wave, {1}).samples, whole.samples);
}

TEST_P(EveryEffect, KeepsTheLengthOfAnySignal) {
  for (const std::int64_t n_frames : {0, 1, 2, 63, 64, 1000, 2048, 5001}) {
    for (const std::int64_t rate_hz : {8000, 40000, 44100, 48000}) {
      auto samples = noise(0.5, 0.2);
      samples.resize(static_cast<std::size_t>(n_frames));
      EXPECT_EQ(through(*made(1, rate_hz), {samples, 1, rate_hz}, {700}).n_frames(), n_frames) << rate_hz;
    }
  }
}

TEST_P(EveryEffect, TreatsEqualChannelsAlike) {
  auto samples = noise(0.7, 0.3);
  const auto n = samples.size();
  const auto alone = through(*made(1), {samples, 1, kRate});
  const std::vector<float> copy = samples;
  samples.insert(samples.end(), copy.begin(), copy.end());
  const auto both = through(*made(2), {std::move(samples), 2, kRate});
  const bool differs_by_channel =
      GetParam() == "reverb" || GetParam() == "chorus" || GetParam() == "mp3";  // stereo rooms, coded together
  if (differs_by_channel) {
    EXPECT_NEAR(testing::rms(both.channel(1)), testing::rms(alone.samples), 0.1 * testing::rms(alone.samples));
    return;
  }
  EXPECT_EQ(std::vector<float>(both.channel(0).begin(), both.channel(0).end()), alone.samples);
  EXPECT_EQ(std::vector<float>(both.channel(1).begin(), both.channel(1).end()), alone.samples);
  EXPECT_EQ(both.samples.size(), 2 * n);
}

TEST_P(EveryEffect, IsSilentWhereTheSignalIs) {
  const auto out = through(*made(1), {std::vector<float>(20000), 1, kRate});
  EXPECT_LT(testing::peak(out.samples), 1e-6);
}

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& row : kEffects) names.emplace_back(row.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Effects, EveryEffect, ::testing::ValuesIn(names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// Effects that change nothing with these settings: what looks ahead must put its samples back where they were.
TEST(EffectPlace, SamplesComeBackWhereTheyWere) {
  const auto samples = noise(0.5, 0.5);
  const std::map<std::string, double> largest_difference{
      {"limiter", 0},
      {"limiter\ntrue_peak = false\nlook_ahead_ms = 7", 0},
      {"pitch-shift\nsemitones = 0", 1e-5},
      {"formant-shift\nratio = 1", 1e-5},
      {"noise-gate\nrange_db = 0", 0},
      {"convolution\nimpulse = \"room.wav\"\nmix = 0", 0},
      {"resample\nrate_hz = 44100", 0},
  };
  testing::TemporaryFolder folder;
  write_audio(folder / "room.wav", {noise(0.5, 0.1), 1, kRate});
  for (const auto& [effect, tolerance] : largest_difference) {
    write_file_atomically(folder / "chain.toml", effect_table(effect));
    const auto out = through(*EffectChain::read(folder / "chain.toml").make(kRate, 1), {samples, 1, kRate});
    EXPECT_TRUE(testing::near_all(std::vector<double>(samples.begin(), samples.end()), out.samples, tolerance))
        << effect;
  }
}

TEST(EffectPlace, ADelayedImpulseOfAResponseComesBackDelayed) {
  testing::TemporaryFolder folder;
  auto room = testing::impulse(777, 20000);
  write_audio(folder / "room.wav", {room, 1, kRate}, "wav32f");
  write_file_atomically(folder / "chain.toml", effect_table("convolution\nimpulse = \"room.wav\""));
  const auto out =
      through(*EffectChain::read(folder / "chain.toml").make(kRate, 1), {testing::impulse(100, 3000), 1, kRate});
  EXPECT_TRUE(testing::near_all(std::vector<double>(1, 1.0), std::vector<float>{out.samples[877]}, 1e-5));
  EXPECT_NEAR(testing::rms(out.samples), std::sqrt(1.0 / 3000), 1e-6);
}

}  // namespace
}  // namespace melisma
