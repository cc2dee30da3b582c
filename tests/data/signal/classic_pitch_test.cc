#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "data/signal/dio.h"
#include "data/signal/harvest.h"
#include "data/signal/praat_pitch.h"
#include "data/signal/stonemask.h"
#include "tests/data/signal/pitch_signals.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::cents_between;
using testing::golden_audio;
using testing::GoldenFile;

using Contour = std::vector<double>;
using Method = std::function<Contour(const std::vector<float>& wave, int threads)>;

struct NamedMethod {
  std::string name;
  Method run;
};

// All of them at a frame each 10 ms.
std::vector<NamedMethod> methods() {
  return {
      {"harvest", [](const auto& wave, int threads) { return harvest(wave, {}, threads); }},
      {"dio", [](const auto& wave, int threads) { return dio(wave, {}, threads); }},
      {"harvest_stonemask",
       [](const auto& wave, int threads) { return stonemask(wave, 16000, harvest(wave, {}, threads), 10, threads); }},
      {"dio_stonemask",
       [](const auto& wave, int threads) { return stonemask(wave, 16000, dio(wave, {}, threads), 10, threads); }},
      {"pm_raw", [](const auto& wave, int threads) { return praat_pitch(wave, {}, threads).f0_hz; }}};
}

std::vector<float> noise(std::int64_t n, double amplitude, std::uint32_t seed) {
  testing::Lcg source(seed);
  std::vector<float> wave(static_cast<std::size_t>(n));
  for (auto& x : wave) x = static_cast<float>(amplitude * source.next());
  return wave;
}

// Voicing may differ in `other_voicing` of the frames, `inexact` of the voiced ones be off by more than 0.01 cents, and
// none by more than `worst` cents.
void expect_same_contour(const Contour& expected, const Contour& got, double other_voicing, double inexact,
                         double worst) {
  ASSERT_EQ(expected.size(), got.size());
  double n_other = 0, n_inexact = 0, n_voiced = 0, farthest = 0;
  for (std::size_t t = 0; t < got.size(); ++t) {
    n_other += (got[t] > 0) != (expected[t] > 0);
    if (!(got[t] > 0 && expected[t] > 0)) continue;
    ++n_voiced;
    const auto cents = cents_between(got[t], expected[t]);
    n_inexact += cents > 0.01;
    farthest = std::max(farthest, cents);
  }
  EXPECT_GT(n_voiced, 0);
  EXPECT_LE(n_other, other_voicing * static_cast<double>(got.size()));
  EXPECT_LE(n_inexact, inexact * n_voiced);
  EXPECT_LE(farthest, worst);
}

// Where a recording begins behind digital silence, the last bits of a transform decide: hence the allowance.
TEST(GoldenClassicPitch, WorldsAndPraatsContours) {
  const auto found = testing::golden_files("rvc", "f0_classic", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& file : found.files) {
    const auto golden = GoldenFile::load(file);
    for (const std::string name : {"glide", "noise", "voice"}) {
      const auto wave = golden_audio(golden, name);
      for (const auto& method : methods()) {
        SCOPED_TRACE(name + "." + method.name);
        expect_same_contour(golden.at(name + "." + method.name).values, method.run(wave, 1), 0, 0.025, 3);
      }
    }
  }
}

TEST(GoldenClassicPitch, PraatsFramesStandWherePraatPutsThem) {
  const auto found = testing::golden_files("rvc", "f0_classic", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& file : found.files) {
    const auto golden = GoldenFile::load(file);
    for (const std::string name : {"glide", "noise", "voice"}) {
      const auto pitch = praat_pitch(golden_audio(golden, name), {});
      EXPECT_NEAR(pitch.first_s, golden.at(name + ".pm_t0").values[0], 1e-12);
      EXPECT_NEAR(pitch.step_s, golden.at(name + ".pm_t0").values[1], 1e-12);
    }
  }
}

// Ten harmonics, as a voice has them: Harvest wants most of the first six.
std::vector<float> buzz(double hz, std::int64_t n, double rate_hz = 16000) {
  std::vector<float> wave(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < wave.size(); ++i) {
    const auto phase = 2 * std::numbers::pi * hz * static_cast<double>(i) / rate_hz;
    double sum = 0;
    for (int h = 1; h <= 10 && h * hz < rate_hz / 2; ++h) sum += std::sin(h * phase) / h;
    wave[i] = static_cast<float>(0.2 * sum);
  }
  return wave;
}

TEST(ClassicPitch, ReadsATone) {
  for (const auto& method : methods()) {
    const auto limit = method.name == "dio" || method.name == "harvest" ? 8 : 1.2;  // cents; those two are refined
    for (const double hz : {82.4, 220.0, 440.0, 987.8}) {
      SCOPED_TRACE(method.name + " at " + std::to_string(hz));
      const auto f0 = method.run(buzz(hz, 16000), 1);
      for (std::size_t t = 10; t + 15 < f0.size(); ++t) {
        ASSERT_GT(f0[t], 0) << "frame " << t;
        EXPECT_LT(cents_between(f0[t], hz), limit) << "frame " << t;
      }
    }
  }
}

TEST(ClassicPitch, GapsAndSilenceAreUnvoiced) {
  auto wave = buzz(150, 32000);
  std::fill(wave.begin() + 10000, wave.begin() + 22000, 0.0F);  // frames 62.5 to 137.5
  for (const auto& method : methods()) {
    SCOPED_TRACE(method.name);
    for (const auto hz : method.run(std::vector<float>(16000), 1)) EXPECT_EQ(hz, 0);
    const auto f0 = method.run(wave, 1);
    for (std::size_t t = 8; t < 190; ++t) {
      if (t < 55 || t > 145) {
        EXPECT_LT(cents_between(f0[t], 150), 5) << t;
      } else if (t > 66 && t < 130) {
        EXPECT_EQ(f0[t], 0) << t;
      }
    }
  }
}

TEST(ClassicPitch, DoesNotDependOnTheNumberOfThreads) {
  auto wave = buzz(180, 60000);
  std::fill(wave.begin() + 40000, wave.end(), 0.0F);
  const auto hiss = noise(60000, 0.02, 7);
  std::transform(wave.begin(), wave.end(), hiss.begin(), wave.begin(), std::plus<>());
  for (const auto& method : methods()) {
    const auto one = method.run(wave, 1);
    EXPECT_EQ(one, method.run(wave, 3)) << method.name;
    EXPECT_GT(std::count_if(one.begin(), one.end(), [](double hz) { return hz > 0; }), 200) << method.name;
  }
}

TEST(ClassicPitch, SamplesThatAreNoNumbersAreSilence) {
  auto wave = buzz(200, 16000), broken = wave;
  for (std::size_t i = 4000; i < 4200; ++i) wave[i] = 0, broken[i] = i % 2 == 0 ? NAN : INFINITY;
  for (const auto& method : methods()) EXPECT_EQ(method.run(wave, 1), method.run(broken, 1)) << method.name;
}

TEST(ClassicPitch, TooShortInputGivesUnvoicedFramesOrNone) {
  for (const auto& method : methods()) {
    for (const std::size_t n : {0, 1, 3, 159, 900, 961}) {
      for (const auto hz : method.run(std::vector<float>(n, 0.1F), 1)) EXPECT_EQ(hz, 0) << method.name << " " << n;
    }
  }
  EXPECT_EQ(harvest(std::vector<float>(1600), {}).size(), 11U);
  EXPECT_EQ(dio(std::vector<float>(1600), {}).size(), 11U);
  EXPECT_EQ(praat_pitch(std::vector<float>(959), {}).f0_hz.size(), 0U);
  EXPECT_EQ(praat_pitch(std::vector<float>(960), {}).f0_hz.size(), 1U);
  EXPECT_EQ(praat_pitch(std::vector<float>(4800), {}).f0_hz.size(), 25U);  // (0.3 - 0.06) / 0.01 is a hair below 24
}

TEST(ClassicPitch, AnImpossibleRangeIsRefused) {
  EXPECT_THROW((void)harvest({}, {.fmin_hz = 500, .fmax_hz = 100}), Error);
  EXPECT_THROW((void)harvest({}, {.sample_rate_hz = 4000}), Error);
  EXPECT_THROW((void)dio({}, {.fmin_hz = 50, .fmax_hz = 9000}), Error);
  EXPECT_THROW((void)praat_pitch({}, {.fmin_hz = 0}), Error);
}

TEST(Harvest, ALongRecordingInPiecesReadsAsInOne) {
  std::vector<float> wave;
  for (const double hz : {110.0, 147.0, 196.0, 262.0, 350.0, 467.0, 130.0, 98.0}) {
    const auto part = buzz(hz, 36000);
    wave.insert(wave.end(), part.begin(), part.end());
    wave.resize(wave.size() + 4000);
  }
  const auto hiss = noise(static_cast<std::int64_t>(wave.size()), 0.01, 11);
  std::transform(wave.begin(), wave.end(), hiss.begin(), wave.begin(), std::plus<>());
  const auto whole = harvest(wave, {});
  expect_same_contour(whole, harvest(wave, {.piece_s = 5}), 0, 0.01, 0.05);
}

TEST(Harvest, KeepsItsPitchAtOtherRates) {
  for (const std::int64_t rate : {8000, 22050, 44100, 48000}) {
    const auto f0 = harvest(buzz(220, rate, static_cast<double>(rate)), {.sample_rate_hz = rate});
    ASSERT_EQ(f0.size(), 101U);
    for (std::size_t t = 10; t < 90; ++t) EXPECT_LT(cents_between(f0[t], 220), 0.5) << rate << " frame " << t;
  }
}

TEST(Stonemask, RepairsARoughGuessAndLeavesAWrongOneAlone) {
  const auto wave = buzz(200, 16000);
  const std::vector<double> guesses{0, 30, 210, 190, 0, 1500};
  auto frames = std::vector<double>(50, 0.0);
  std::copy(guesses.begin(), guesses.end(), frames.begin() + 40);
  const auto refined = stonemask(wave, 16000, frames, 10);
  EXPECT_EQ(refined[40], 0);
  EXPECT_EQ(refined[41], 0);  // below 40 Hz
  EXPECT_LT(cents_between(refined[42], 200), 0.1);
  EXPECT_LT(cents_between(refined[43], 200), 0.1);
  EXPECT_EQ(refined[44], 0);
  EXPECT_EQ(refined[45], 0);  // above rate/12
}

}  // namespace
}  // namespace melisma
