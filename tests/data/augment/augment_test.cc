// Each augmentation does what its row says, to the right tracks, and the same for the same seed and place.
#include "data/augment/augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "data/effects/decibels.h"

namespace melisma {
namespace {
using ::testing::Each;

constexpr std::int64_t kRate = 44100, kFrames = 22050;

Waveform sine(double frequency_hz, std::int64_t n_channels = 2) {
  Waveform wave{std::vector<float>(static_cast<std::size_t>(n_channels * kFrames)), n_channels, kRate};
  for (std::int64_t c = 0; c < n_channels; ++c) {
    for (std::int64_t i = 0; i < kFrames; ++i) {
      wave.channel(c)[static_cast<std::size_t>(i)] = static_cast<float>(
          0.25 / (1 + static_cast<double>(c)) * std::sin(2 * M_PI * frequency_hz * static_cast<double>(i) / kRate));
    }
  }
  return wave;
}

AugmentedSong small_song() {
  AugmentedSong song;
  song.tracks = {{sine(100), "drums"}, {sine(440), "keys"}, {sine(1000, 1), "vocals"}, {sine(300), "", true}};
  return song;
}

// Everything off but the row called `name`, which always happens.
AugmentConfig only(std::string_view name) {
  AugmentConfig config;
  for (const auto& row : augmentations()) config.*row.probability = row.name == name ? 1 : 0;
  return config;
}

AugmentedSong augmented(const AugmentConfig& config, std::int64_t step = 0, const FindDonor& donor = {}) {
  auto song = small_song();
  augment(song, config, 7, {1, step}, donor);
  return song;
}

double rms(std::span<const float> samples) {
  double sum = 0;
  for (const double sample : samples) sum += sample * sample;
  return std::sqrt(sum / static_cast<double>(samples.size()));
}

// From the sign changes in the middle of a wave.
double frequency_of(std::span<const float> samples) {
  const auto middle = samples.subspan(samples.size() / 4, samples.size() / 2);
  std::vector<std::size_t> rises;
  for (std::size_t i = 1; i < middle.size(); ++i) {
    if (middle[i - 1] < 0 && middle[i] >= 0) rises.push_back(i);
  }
  if (rises.size() < 2) return 0;
  return static_cast<double>(kRate) * static_cast<double>(rises.size() - 1) /
         static_cast<double>(rises.back() - rises.front());
}

TEST(Augment, EveryRowHasANameHelpAndOneWayToWork) {
  std::set<std::string_view> names;
  for (const auto& row : augmentations()) {
    EXPECT_TRUE(names.insert(row.name).second);
    EXPECT_FALSE(row.summary.empty());
    EXPECT_NE(row.of_song == nullptr, row.of_track == nullptr) << row.name;
  }
  EXPECT_EQ(names.size(), 9U);
}

TEST(Augment, WithEverythingOffNothingChanges) {
  const auto song = augmented(only("none"));
  const auto before = small_song();
  for (std::size_t i = 0; i < song.tracks.size(); ++i)
    EXPECT_EQ(song.tracks[i].wave.samples, before.tracks[i].wave.samples);
  EXPECT_FALSE(song.is_mix_stale);
}

TEST(Augment, TheSamePlaceDrawsTheSameAndAnotherPlaceDoesNot) {
  AugmentConfig config;
  config.noise = config.pitch = config.speed = 0.5;
  for (std::int64_t step = 0; step < 4; ++step) {
    const auto a = augmented(config, step), b = augmented(config, step);
    for (std::size_t i = 0; i < a.tracks.size(); ++i) EXPECT_EQ(a.tracks[i].wave.samples, b.tracks[i].wave.samples);
  }
  EXPECT_NE(augmented(only("gain"), 0).tracks[0].wave.samples, augmented(only("gain"), 1).tracks[0].wave.samples);
}

TEST(Augment, SwitchingARowOffChangesNoOtherDraw) {
  auto both = only("gain");
  both.polarity = 1;
  const auto gain = augmented(only("gain")), turned = augmented(both);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto &a = gain.tracks[i].wave.samples, &b = turned.tracks[i].wave.samples;
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), [](float x, float y) { return x == -y; }));
  }
}

TEST(Augment, GainStaysWithinItsLimitAndDiffersFromTrackToTrack) {
  std::set<int> gains;
  double farthest = 0;
  for (std::int64_t step = 0; step < 60; ++step) {
    const auto song = augmented(only("gain"), step);
    const double gain_db = db_of_factor(rms(song.tracks[1].wave.channel(0)) / rms(sine(440).channel(0)));
    EXPECT_LE(std::abs(gain_db), 6.001);
    farthest = std::max(farthest, std::abs(gain_db));
    gains.insert(static_cast<int>(std::lround(1000 * gain_db)));
  }
  EXPECT_GT(farthest, 4);
  EXPECT_GT(gains.size(), 50U);
}

TEST(Augment, PanKeepsThePowerAndMakesAMonoTrackStereo) {
  for (std::int64_t step = 0; step < 10; ++step) {
    const auto song = augmented(only("pan"), step);
    const auto& voice = song.tracks[2].wave;
    ASSERT_EQ(voice.n_channels, 2);
    ASSERT_EQ(voice.n_frames(), kFrames);
    const double left = rms(voice.channel(0)), right = rms(voice.channel(1)), before = rms(sine(1000, 1).samples);
    EXPECT_NEAR(left * left + right * right, 2 * before * before, 1e-6);
  }
}

TEST(Augment, PolarityTurnsASampleIntoItsNegative) {
  const auto song = augmented(only("polarity"));
  const auto before = small_song();
  for (std::size_t i = 0; i < before.tracks[0].wave.samples.size(); ++i) {
    ASSERT_EQ(song.tracks[0].wave.samples[i], -before.tracks[0].wave.samples[i]);
  }
  EXPECT_TRUE(song.is_mix_stale);
  EXPECT_EQ(song.tracks[3].wave.samples, before.tracks[3].wave.samples) << "the mix is not a track";
}

TEST(Augment, ChannelsChangePlacesInAllTracksAndTheMix) {
  const auto song = augmented(only("channel_swap"));
  const auto before = small_song();
  for (const std::size_t i : {0, 1, 3}) {
    EXPECT_TRUE(std::ranges::equal(song.tracks[i].wave.channel(0), before.tracks[i].wave.channel(1)));
    EXPECT_TRUE(std::ranges::equal(song.tracks[i].wave.channel(1), before.tracks[i].wave.channel(0)));
  }
  EXPECT_EQ(song.tracks[2].wave.samples, before.tracks[2].wave.samples);
  EXPECT_FALSE(song.is_mix_stale);
}

TEST(Augment, NoiseLiesAsFarBelowTheTrackAsAsked) {
  auto config = only("noise");
  config.noise_db = -30;
  const auto song = augmented(config);
  auto added = song.tracks[1].wave.samples;
  const auto before = sine(440);
  for (std::size_t i = 0; i < added.size(); ++i) added[i] -= before.samples[i];
  EXPECT_NEAR(db_of_factor(rms(added) / rms(before.samples)), -30, 0.2);
}

TEST(Augment, ABellChangesTheLevelOfAToneByAtMostItsHeight) {
  double most = 0;
  for (std::int64_t step = 0; step < 40; ++step) {
    const auto song = augmented(only("eq"), step);
    ASSERT_EQ(song.tracks[1].wave.n_frames(), kFrames);
    const double gain_db = db_of_factor(rms(song.tracks[1].wave.channel(0)) / rms(sine(440).channel(0)));
    EXPECT_LE(std::abs(gain_db), 6.1);
    most = std::max(most, std::abs(gain_db));
  }
  EXPECT_GT(most, 1);
}

TEST(Augment, SpeedMovesAllTracksAndTheMixByOneFactor) {
  const auto song = augmented(only("speed"));
  const auto before = small_song();
  const double factor = frequency_of(song.tracks[1].wave.channel(0)) / 440;
  EXPECT_GT(std::abs(factor - 1), 0.001);
  EXPECT_LE(std::abs(factor - 1), 0.061);
  EXPECT_NEAR(frequency_of(song.tracks[2].wave.channel(0)), 1000 * factor, 2);
  EXPECT_NEAR(frequency_of(song.tracks[3].wave.channel(0)), 300 * factor, 2);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(song.tracks[i].wave.n_frames(), before.tracks[i].wave.n_frames());
  EXPECT_FALSE(song.is_mix_stale);
}

TEST(Augment, PitchMovesAllTracksButDrumsByOneFactor) {
  const auto song = augmented(only("pitch"));
  const double factor = frequency_of(song.tracks[1].wave.channel(0)) / 440;
  EXPECT_GT(std::abs(std::log2(factor)), 0.01);
  EXPECT_LE(std::abs(std::log2(factor)), 2.05 / 12);
  EXPECT_NEAR(frequency_of(song.tracks[2].wave.channel(0)) / 1000, factor, 0.01);
  EXPECT_EQ(song.tracks[0].wave.samples, sine(100).samples);
  EXPECT_EQ(song.tracks[1].wave.n_frames(), kFrames);
  EXPECT_TRUE(song.is_mix_stale);
}

TEST(Augment, RemixTakesATrackOfTheSameKindOrLeavesTheOldOne) {
  std::vector<std::string> asked;
  const FindDonor donor = [&](const std::string& stem, RandomSource&) -> std::optional<Waveform> {
    asked.push_back(stem);
    if (stem == "vocals") return std::nullopt;
    return sine(777);
  };
  const auto song = augmented(only("remix"), 0, donor);
  EXPECT_EQ(asked, (std::vector<std::string>{"drums", "keys", "vocals"}));
  EXPECT_EQ(song.tracks[0].wave.samples, sine(777).samples);
  EXPECT_EQ(song.tracks[2].wave.samples, sine(1000, 1).samples);
  EXPECT_TRUE(song.is_mix_stale);
}

TEST(Augment, ProbabilitiesAreKept) {
  AugmentConfig config = only("polarity");
  config.polarity = 0.25;
  int n = 0;
  for (std::int64_t step = 0; step < 800; ++step) n += augmented(config, step).tracks[0].wave.samples[10] < 0 ? 1 : 0;
  EXPECT_NEAR(n, 200, 45);  // 3.7 standard deviations
}

}  // namespace
}  // namespace melisma
