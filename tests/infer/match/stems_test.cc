// Stems put together, and listened to while controls move: what is linear nulls against the whole mix.
#include "infer/match/stems.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "infer/match/frame_preview.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {
using testing::near_all;
using testing::refusal_of;

constexpr std::int64_t kRate = 44100;

StereoSignal noise(std::size_t n, std::uint32_t seed, double amplitude = 0.1) {
  testing::Lcg random(seed);
  StereoSignal signal{std::vector<double>(n), std::vector<double>(n), kRate};
  for (std::size_t i = 0; i < n; ++i) {
    signal.left[i] = amplitude * random.next();
    signal.right[i] = amplitude * random.next();
  }
  return signal;
}

StereoSignal of(std::size_t n, double (*wave)(std::size_t)) {
  StereoSignal signal{{}, {}, kRate};
  for (std::size_t i = 0; i < n; ++i) signal.left.push_back(wave(i)), signal.right.push_back(-0.5 * wave(i));
  return signal;
}

std::vector<StemTrack> three_tracks() {
  return {{"vocals", noise(50000, 1), noise(50000, 2)},
          {"drums", noise(50000, 3), noise(50000, 4)},
          {"bass", noise(40000, 5), noise(40000, 6)}};
}

MixControls controls_of(std::vector<StemControl> stems, double master_db = 0) { return {std::move(stems), master_db}; }

StereoSignal whole_mix(const std::vector<StemTrack>& tracks, const MixControls& controls) {
  const auto n = static_cast<std::size_t>(n_frames_of(tracks));
  StereoSignal mix{std::vector<double>(n), std::vector<double>(n), kRate};
  mix_stems(tracks, controls, 0, mix.left, mix.right);
  return mix;
}

StereoSignal previewed(FramePreview& preview) {
  StereoSignal all{{}, {}, kRate}, block;
  while (preview.render(block)) {
    all.left.insert(all.left.end(), block.left.begin(), block.left.end());
    all.right.insert(all.right.end(), block.right.begin(), block.right.end());
  }
  return all;
}

// The energy of the difference against that of the mix.
double null_db(const StereoSignal& mix, const StereoSignal& heard) {
  double difference = 0, energy = 0;
  EXPECT_EQ(mix.left.size(), heard.left.size());
  for (std::size_t i = 0; i < std::min(mix.left.size(), heard.left.size()); ++i) {
    difference += std::pow(mix.left[i] - heard.left[i], 2) + std::pow(mix.right[i] - heard.right[i], 2);
    energy += mix.left[i] * mix.left[i] + mix.right[i] * mix.right[i];
  }
  return 10 * std::log10(std::max(difference, 1e-300) / energy);
}

TEST(Stems, GainsMutesBlendsAndMasterAreWrittenOut) {
  const auto tracks = three_tracks();
  const auto controls = controls_of({{.gain_db = 6, .blend = 0.25}, {.is_muted = true}, {.blend = 0}}, -3);
  const auto mix = whole_mix(tracks, controls);
  const double vocals = std::pow(10, 0.15), bass = std::pow(10, -0.15);
  for (const std::size_t i : {0u, 12345u, 39999u, 40000u, 49999u}) {
    const double dry_bass = i < 40000 ? tracks[2].dry.left[i] : 0;
    EXPECT_NEAR(mix.left[i], vocals * (0.75 * tracks[0].dry.left[i] + 0.25 * tracks[0].wet.left[i]) + bass * dry_bass,
                1e-12);
  }
  StereoSignal sum;
  add_stem(sum, tracks[2].dry, 2);
  add_stem(sum, tracks[0].dry, 1);
  EXPECT_EQ(sum.n_frames(), 50000);
  EXPECT_NEAR(sum.right[7], 2 * tracks[2].dry.right[7] + tracks[0].dry.right[7], 1e-15);
  auto other = tracks[1].dry;
  other.sample_rate_hz = 48000;
  EXPECT_EQ(refusal_of(ErrorKind::data, [&] { add_stem(sum, other, 1); }),
            "the stems of a song are at 44100 and 48000 Hz; give them one rate first");
}

TEST(FramePreviews, ConstantsAndSinesComeBackAsTheyAre) {
  const auto constant = [](std::size_t) { return 1.0; };
  const auto sine = [](std::size_t i) { return std::sin(2 * std::numbers::pi * 997 * static_cast<double>(i) / 44100); };
  for (const auto& wave : {of(30001, constant), of(30001, sine)}) {
    const std::vector<StemTrack> tracks{{"stem", wave, wave}};
    FramePreview preview(tracks, controls_of({{.blend = 0.5}}));
    const auto heard = previewed(preview);
    EXPECT_TRUE(near_all(wave.left, heard.left, 1e-6));
    EXPECT_TRUE(near_all(wave.right, heard.right, 1e-6));
  }
}

TEST(FramePreviews, LinearSettingsNullAgainstTheWholeMix) {
  const auto tracks = three_tracks();
  const auto controls = controls_of({{.gain_db = -4, .blend = 0.7}, {.gain_db = 3, .blend = 0.1}, {}}, 2);
  FramePreview preview(tracks, controls);
  EXPECT_LT(null_db(whole_mix(tracks, controls), previewed(preview)), -120);
}

TEST(FramePreviews, AMovedControlIsCrossedWithoutAStep) {
  const std::vector<StemTrack> tracks{
      {"stem", of(20000, [](std::size_t) { return 0.0; }), of(20000, [](std::size_t) { return 1.0; })}};
  FramePreview preview(tracks, controls_of({{}}));
  StereoSignal first, second, third;
  ASSERT_TRUE(preview.render(first));
  preview.set(controls_of({{.is_muted = true}}));
  ASSERT_TRUE(preview.render(second));
  ASSERT_TRUE(preview.render(third));
  EXPECT_EQ(std::ssize(second.left), FramePreview::kHop);
  EXPECT_NEAR(first.left.back(), 1, 1e-12);
  EXPECT_NEAR(second.left.front(), 1, 1e-5);
  EXPECT_NEAR(second.left[511] + second.left[512], 1, 1e-12);
  EXPECT_NEAR(second.left[1023], 0, 1e-5);
  EXPECT_EQ(second.left[1024], 0);
  EXPECT_EQ(third.left.front(), 0);
  for (std::size_t i = 1; i < second.left.size(); ++i) EXPECT_LE(second.left[i - 1] - second.left[i], 0.0016);
}

// The whole mix through the same limiter is the same; begun in the middle it differs until its gain has recovered.
TEST(FramePreviews, WithALimiterTheyAreTheLimitedMixAndSeekingIsHeardBriefly) {
  std::vector<StemTrack> tracks{{"stem", noise(60000, 1, 0.5), noise(60000, 2, 0.5)}};
  for (std::size_t i = 15000; i < 15600; ++i) tracks[0].wet.left[i] *= 6;
  const LimiterSettings settings{.ceiling_db = -6, .release_ms = 20};
  const auto controls = controls_of({{}});
  FramePreview preview(tracks, controls, settings);
  const auto heard = previewed(preview);
  const auto mix = whole_mix(tracks, controls);
  Waveform limited{{}, 2, kRate};
  limited.samples.assign(mix.left.begin(), mix.left.end());
  limited.samples.insert(limited.samples.end(), mix.right.begin(), mix.right.end());
  StereoSignal expected{{}, {}, kRate};
  const auto effect = make_effect(settings, {kRate, 2});
  const auto take = [&](const Waveform& wave) {
    expected.left.insert(expected.left.end(), wave.channel(0).begin(), wave.channel(0).end());
    expected.right.insert(expected.right.end(), wave.channel(1).begin(), wave.channel(1).end());
  };
  effect->push(limited, take);
  effect->finish(take);
  EXPECT_LT(null_db(expected, heard), -120);
  preview.seek(15500);
  const auto later = previewed(preview);
  ASSERT_EQ(later.n_frames(), 60000 - 15500);
  const auto tail = [](const StereoSignal& signal, std::int64_t n) {
    return StereoSignal{
        {signal.left.end() - n, signal.left.end()}, {signal.right.end() - n, signal.right.end()}, kRate};
  };
  EXPECT_GT(null_db(tail(expected, 44500), later), -90);
  EXPECT_LT(null_db(tail(expected, 20000), tail(later, 20000)), -100);
}

TEST(FramePreviews, WantOneControlAStem) {
  const auto tracks = three_tracks();
  EXPECT_EQ(refusal_of(ErrorKind::config, [&] { FramePreview preview(tracks, controls_of({{}})); }),
            "1 controls for 3 stems; give one a stem");
}

}  // namespace
}  // namespace melisma
