#include "infer/features/content.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "infer/features/vocal_tract.h"
#include "tests/support/golden.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

// Something like speech: a buzz through two moving resonances, with pauses.
std::vector<float> babble(std::int64_t n, double f0_hz, std::uint32_t seed) {
  std::vector<float> wave(static_cast<std::size_t>(n));
  testing::Lcg noise(seed);
  double phase = 0, state[2][2] = {};
  for (std::int64_t i = 0; i < n; ++i) {
    const auto t = static_cast<double>(i) / 16000;
    phase += f0_hz / 16000;
    const auto pulse = phase >= 1 ? 1.0 : 0.0;
    phase -= std::floor(phase);
    auto x = (std::fmod(t, 1.0) < 0.8 ? pulse : 0) + 1e-4 * noise.next();
    const double centre[2] = {500 + 200 * std::sin(7 * t), 1500 + 600 * std::sin(5 * t)};
    for (int k = 0; k < 2; ++k) {
      const auto r = 0.97, a = 2 * r * std::cos(2 * std::numbers::pi * centre[k] / 16000);
      const auto y = x + a * state[k][0] - r * r * state[k][1];
      state[k][1] = state[k][0];
      state[k][0] = y;
      x = y * 0.1;
    }
    wave[static_cast<std::size_t>(i)] = static_cast<float>(0.2 * x);
  }
  return wave;
}

TEST(Content, HasOneFrameEachTenMilliseconds) {
  const ContentConfig config;
  for (const std::int64_t n : {0, 159, 160, 161, 16000, 48077}) {
    const auto features = extract_content(babble(n, 120, 1), config);
    EXPECT_EQ(features.n_frames, n / 160);
    EXPECT_EQ(features.width, content_width(config));
    EXPECT_EQ(static_cast<std::int64_t>(features.values.size()), features.n_frames * features.width);
  }
}

TEST(Content, LoudnessDoesNotMatter) {
  auto wave = babble(32000, 120, 2);
  const auto loud = extract_content(wave, {});
  for (auto& x : wave) x *= 0.125F;
  const auto quiet = extract_content(wave, {});
  double difference = 0;
  for (std::size_t i = 0; i < loud.values.size(); ++i) {
    difference += std::abs(loud.values[i] - quiet.values[i]) / static_cast<double>(loud.values.size());
  }
  EXPECT_LT(difference, 0.02);
}

TEST(Content, NormalisedColumnsHaveMeanZeroAndDeviationOneOverSpokenFrames) {
  const auto wave = babble(64000, 150, 3);
  const ContentConfig config;
  const auto raw = extract_raw_content(wave, config);
  ContentStatistics statistics;
  statistics.add(raw);
  const auto normalised = normalise_content(raw, statistics, config);
  const auto at = [](const FeatureMatrix& features, std::int64_t frame, std::int64_t column) {
    return double{features.values[static_cast<std::size_t>(frame * features.width + column)]};
  };
  double loudest = -1e9;
  for (std::int64_t t = 0; t < raw.n_frames; ++t) loudest = std::max(loudest, at(raw, t, 0));
  for (std::int64_t column = 0; column <= config.cepstral.coefficients; ++column) {
    double n = 0, sum = 0, squares = 0;
    for (std::int64_t t = 0; t < raw.n_frames; ++t) {
      if (at(raw, t, 0) < loudest - 4 * std::log(10.0)) continue;
      const auto value = at(normalised, t, column);
      n += 1;
      sum += value;
      squares += value * value;
    }
    const auto weight = 1 / (1 + static_cast<double>(column) / 5);
    EXPECT_NEAR(sum / n, 0, 0.05 * weight) << column;
    EXPECT_NEAR(std::sqrt(squares / n), weight, 0.1 * weight) << column;
  }
}

TEST(Content, StatisticsOfPartsAddUp) {
  const ContentConfig config;
  const auto a = extract_raw_content(babble(16000, 120, 4), config);
  const auto b = extract_raw_content(babble(24000, 120, 5), config);
  ContentStatistics both, left, right;
  both.add(a);
  both.add(b);
  left.add(a);
  right.add(b);
  left.merge(right);
  EXPECT_EQ(both.frames(), left.frames());
  for (std::int64_t column = 0; column < a.width; ++column) {
    EXPECT_NEAR(both.mean(column), left.mean(column), 1e-9);
    EXPECT_NEAR(both.deviation(column), left.deviation(column), 1e-9);
  }
}

TEST(Content, DoesNotDependOnTheNumberOfThreads) {
  const auto wave = babble(160000, 140, 6);
  EXPECT_EQ(extract_content(wave, {}, 1).values, extract_content(wave, {}, 3).values);
}

TEST(Content, SilenceAndBrokenSamplesGiveFiniteFeatures) {
  for (const float value : {0.0F, 1.0F, std::nanf("")}) {
    for (const auto x : extract_content(std::vector<float>(8000, value), {}).values) ASSERT_TRUE(std::isfinite(x));
  }
}

TEST(Content, AtAnyRateTheFrameCountIsThatOfTheRate) {
  Waveform wave{.samples = std::vector<float>(44099, 0.1F), .n_channels = 1, .sample_rate_hz = 44100};
  EXPECT_EQ(extract_content(wave, {}).n_frames, 99);
}

// A vowel of four fixed resonances.
std::vector<float> vowel(std::int64_t n, double f0_hz, double scale) {
  std::vector<float> wave(static_cast<std::size_t>(n));
  const double centre[4] = {550, 1500, 2550, 3450};
  double phase = 0, state[4][2] = {};
  for (std::int64_t i = 0; i < n; ++i) {
    phase += f0_hz / 16000;
    auto x = phase >= 1 ? 1.0 : 0.0;
    phase -= std::floor(phase);
    for (int k = 0; k < 4; ++k) {
      const auto r = std::exp(-std::numbers::pi * 90 / 16000);
      const auto a = 2 * r * std::cos(2 * std::numbers::pi * centre[k] * scale / 16000);
      const auto y = (1 - a + r * r) * x + a * state[k][0] - r * r * state[k][1];
      state[k][1] = state[k][0];
      state[k][0] = x = y;
    }
    wave[static_cast<std::size_t>(i)] = static_cast<float>(x);
  }
  return wave;
}

TEST(VocalTract, ScaledFormantsGiveTheScale) {
  for (const double scale : {0.9, 1.0, 1.15}) {
    EXPECT_NEAR(vocal_tract_warp(vowel(32000, 117, scale)), scale, 0.03) << scale;
    EXPECT_NEAR(vocal_tract_warp(vowel(32000, 187, scale)), scale, 0.04) << scale;  // the pitch matters little
  }
}

TEST(VocalTract, NothingToMeasureGivesExactlyOne) {
  EXPECT_EQ(vocal_tract_warp(std::vector<float>{}), 1);
  EXPECT_EQ(vocal_tract_warp(std::vector<float>(100, 0.1F)), 1);
  EXPECT_EQ(vocal_tract_warp(std::vector<float>(16000)), 1);
}

TEST(VocalTract, DoesNotDependOnTheNumberOfThreads) {
  const auto wave = vowel(48000, 140, 1.1);
  EXPECT_EQ(vocal_tract_warp(wave, 1), vocal_tract_warp(wave, 3));
}

TEST(Content, KeysTellSettingsApartAndGiveThemBack) {
  const ContentConfig a, b{.cepstral = {.coefficients = 12}};
  EXPECT_EQ(key_of(a).kind, "content");
  EXPECT_NE(key_of(a).parameters, key_of(b).parameters);
  EXPECT_EQ(content_config_of(key_of(b).parameters), b);
  EXPECT_THROW((void)content_config_of("{}"), Error);
}

TEST(Content, MoreCoefficientsThanBandsAreRefused) {
  EXPECT_THROW((void)extract_content(std::vector<float>(1600), {.cepstral = {.bands = 16, .coefficients = 16}}), Error);
}

}  // namespace
}  // namespace melisma
