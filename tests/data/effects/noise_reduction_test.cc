#include "data/effects/noise_reduction.h"

#include <gtest/gtest.h>

#include "tests/data/effects/known_signals.h"

namespace melisma {
namespace {
using testing::amplitude_at;
using testing::db;
using testing::kRate;
using testing::noise;
using testing::rms;
using testing::sine;

std::vector<float> cleaned(std::vector<float> samples, double strength) {
  reduce_noise(samples, kRate, strength);
  return samples;
}

std::vector<float> sum_of(std::vector<float> a, const std::vector<float>& b) {
  for (std::size_t n = 0; n < b.size(); ++n) a[n] += b[n];
  return a;
}

TEST(NoiseReduction, WhiteNoiseFallsByTwentyDecibelsAndAToneStays) {
  // 4 s of hiss, in the middle of which a tone 20 dB above it sounds for a second.
  auto tone = sine(1000, 0.3, 4);
  for (std::size_t n = 0; n < tone.size(); ++n) {
    if (n < 1.5 * kRate || n >= 2.5 * kRate) tone[n] = 0;
  }
  const auto hiss = noise(0.0367, 4);  // rms 0.0212, the tone's is 0.212
  const auto in = sum_of(tone, hiss);
  const auto out = cleaned(in, 1);
  ASSERT_EQ(out.size(), in.size());
  const auto part = [](const std::vector<float>& wave, double from_s, double to_s) {
    return std::span(wave).subspan(static_cast<std::size_t>(from_s * kRate),
                                   static_cast<std::size_t>((to_s - from_s) * kRate));
  };
  EXPECT_LT(db(rms(part(out, 0.2, 1.3)) / rms(part(in, 0.2, 1.3))), -20);
  EXPECT_LT(db(rms(part(out, 2.7, 3.8)) / rms(part(in, 2.7, 3.8))), -20);
  EXPECT_NEAR(db(amplitude_at(part(out, 1.6, 2.4), 1000) / amplitude_at(part(in, 1.6, 2.4), 1000)), 0, 0.5);
  // What is left beside the tone while it sounds.
  auto rest = out;
  for (std::size_t n = 0; n < rest.size(); ++n) rest[n] -= tone[n];
  EXPECT_LT(db(rms(part(rest, 1.6, 2.4)) / rms(part(hiss, 1.6, 2.4))), -6);
}

TEST(NoiseReduction, ToneThatNeverEndsIsNotTakenForNoise) {
  const auto in = sum_of(sine(700, 0.3, 3), noise(0.02, 3));
  const auto out = cleaned(in, 1);
  EXPECT_NEAR(db(amplitude_at(testing::middle(out), 700) / 0.3), 0, 0.5);
}

TEST(NoiseReduction, StrengthIsHowMuchOfItGoes) {
  const auto in = noise(0.1, 3);
  EXPECT_NEAR(db(rms(testing::middle(cleaned(in, 0.5))) / rms(in)), -6, 0.5);
  EXPECT_NEAR(db(rms(testing::middle(cleaned(in, 0.9))) / rms(in)), -19, 2);
  const auto same = cleaned(in, 0);
  EXPECT_TRUE(testing::near_all(std::vector<double>(in.begin(), in.end()), same, 1e-6));
}

TEST(NoiseReduction, ShortAndSilentSignalsStayWhatTheyAre) {
  for (const std::size_t n : {0u, 1u, 100u, 3000u}) {
    auto samples = noise(0.3, 0.1);
    samples.resize(n);
    EXPECT_EQ(cleaned(samples, 1).size(), n);
  }
  const auto silent = cleaned(std::vector<float>(30000), 1);
  EXPECT_EQ(testing::peak(silent), 0);
}

}  // namespace
}  // namespace melisma
