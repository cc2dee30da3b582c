#include <gtest/gtest.h>

#include <cmath>

#include "data/signal/pyin.h"
#include "data/signal/yin.h"
#include "tests/data/signal/pitch_signals.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::cents_between;
using testing::golden_audio;
using testing::GoldenFile;
using testing::tone;

TEST(GoldenPitch, PyinDecidesAsLibrosa) {
  const auto found = testing::golden_files("rvc", "f0_classic", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& file : found.files) {
    const auto golden = GoldenFile::load(file);
    for (const std::string name : {"glide", "noise", "voice"}) {
      SCOPED_TRACE(name);
      const auto frames = pyin(golden_audio(golden, name), {});
      const auto& f0 = golden.at(name + ".pyin_f0").values;
      const auto& probability = golden.at(name + ".pyin_prob").values;
      ASSERT_EQ(frames.size(), f0.size());
      for (std::size_t t = 0; t < frames.size(); ++t) {
        EXPECT_NEAR(frames[t].f0_hz, f0[t], 1e-3) << "frame " << t;
        EXPECT_NEAR(frames[t].voiced_probability, probability[t], 1e-5) << "frame " << t;
      }
    }
  }
}

TEST(GoldenPitch, YinFindsLibrosasPeriods) {
  const auto audio = testing::golden_files("rvc", "f0_classic", ".safetensors");
  const auto found = testing::golden_files("yin", "f0_yin", ".safetensors");
  if (!found.has_topic || !audio.has_topic) GTEST_SKIP() << "no fixtures";
  const auto signals = GoldenFile::load(audio.files.front());
  for (const auto& file : found.files) {
    const auto golden = GoldenFile::load(file);
    for (const auto& [name, f0] : golden.tensors) {
      SCOPED_TRACE(name);
      const auto frames = yin(golden_audio(signals, name.substr(0, name.find('.'))), {});
      ASSERT_EQ(frames.size(), f0.values.size());
      for (std::size_t t = 0; t < frames.size(); ++t) {
        const auto relative = frames[t].has_dip ? 1e-6 : 1e-3;  // between flat neighbours rounding moves the bottom
        EXPECT_NEAR(frames[t].f0_hz, f0.values[t], relative * f0.values[t]) << "frame " << t;
      }
    }
  }
}

TEST(Pyin, ReadsATonesPitchWithinHalfACent) {
  for (const double hz : {82.4, 220.0, 440.0, 987.8}) {
    const auto frames = pyin(tone(hz, 16000), {});
    for (std::size_t t = 10; t + 10 < frames.size(); ++t) {
      EXPECT_LT(cents_between(frames[t].refined_hz, hz), 0.5) << hz << " frame " << t << ": " << frames[t].refined_hz;
      EXPECT_LT(cents_between(frames[t].f0_hz, hz), 10);  // a bin is ten cents wide
    }
  }
}

TEST(Pyin, GapsAndSilenceAreUnvoiced) {
  for (const auto& frame : pyin(std::vector<float>(16000), {})) EXPECT_EQ(frame.f0_hz, 0);
  auto wave = tone(150, 32000, 0, 10000);
  const auto later = tone(150, 32000, 22000);
  for (std::size_t i = 22000; i < wave.size(); ++i) wave[i] = later[i];
  const auto frames = pyin(wave, {});
  for (std::size_t t = 0; t < frames.size(); ++t) {
    if (t < 50 || (t > 150 && t < 195)) {
      EXPECT_GT(frames[t].f0_hz, 0) << t;
    }
    if (t > 70 && t < 130) {
      EXPECT_EQ(frames[t].f0_hz, 0) << t;
    }
  }
}

TEST(Pyin, DoesNotDependOnTheNumberOfThreads) {
  auto wave = tone(180, 60000, 0, 40000);
  testing::Lcg noise(7);
  for (auto& x : wave) x += static_cast<float>(0.02 * noise.next());
  const auto one = pyin(wave, {}, 1), three = pyin(wave, {}, 3);
  for (std::size_t t = 0; t < one.size(); ++t) {
    ASSERT_EQ(one[t].refined_hz, three[t].refined_hz) << t;
    ASSERT_EQ(one[t].voiced_probability, three[t].voiced_probability) << t;
  }
}

TEST(Pyin, ALongRecordingIsDecodedAsOnePiece) {  // longer than the decoder's segments
  const auto frames = pyin(tone(220, 16000 * 12), {});
  ASSERT_EQ(frames.size(), 1201U);
  for (std::size_t t = 10; t + 10 < frames.size(); ++t) ASSERT_LT(cents_between(frames[t].refined_hz, 220), 0.5) << t;
}

TEST(Pyin, TooShortInputIsOneUnvoicedFrameNotACrash) {
  EXPECT_EQ(pyin({}, {}).size(), 1U);
  const std::vector<float> few{0.1F, -0.1F, 0.2F};
  for (const auto& frame : pyin(few, {})) EXPECT_EQ(frame.f0_hz, 0);
}

TEST(Yin, FindsTheFirstDeepDip) {
  const auto frames = yin(tone(220, 16000), {});
  for (std::size_t t = 10; t + 10 < frames.size(); ++t) {
    EXPECT_TRUE(frames[t].has_dip);
    EXPECT_LT(cents_between(frames[t].f0_hz, 220), 5);  // the bias of YIN itself
    EXPECT_LT(cents_between(frames[t].refined_hz, 220), 0.5);
    EXPECT_LT(frames[t].aperiodicity, 0.05);
  }
  for (const auto& frame : yin(std::vector<float>(4000), {})) EXPECT_FALSE(frame.has_dip);
}

TEST(Yin, DifferenceFunctionEqualsItsDefinition) {
  testing::Lcg noise(3);
  std::vector<float> wave(3000);
  for (auto& x : wave) x = static_cast<float>(noise.next());
  for (const std::int64_t hop : {160, 97, 512}) {
    const YinConfig config{.sample_rate_hz = 16000, .fmin_hz = 100, .fmax_hz = 1000, .frame = 700, .hop = hop};
    const auto n_frames = config.n_frames(3000), n_lags = config.n_lags();
    std::vector<double> got(static_cast<std::size_t>(n_frames * n_lags));
    normalised_difference(wave, config, 0, n_frames, got.data());
    for (std::int64_t t = 0; t < n_frames; ++t) {
      const auto sample = [&](std::int64_t i) {
        const auto k = t * hop - config.frame / 2 + i;
        return k < 0 || k >= 3000 ? 0.0 : static_cast<double>(wave[static_cast<std::size_t>(k)]);
      };
      double sum = 0;
      for (std::int64_t lag = 1; lag <= config.max_lag(); ++lag) {
        double all = 0, product = 0, early = 0;
        for (std::int64_t i = 0; i < config.frame; ++i) all += sample(i) * sample(i);
        for (std::int64_t i = 0; i < config.frame - lag; ++i) product += sample(i) * sample(i + lag);
        for (std::int64_t i = 0; i < lag; ++i) early += sample(i) * sample(i);
        const auto difference = 2 * (all - product) - early;
        sum += difference;
        if (lag < config.min_lag()) continue;
        ASSERT_NEAR(got[static_cast<std::size_t>(t * n_lags + lag - config.min_lag())],
                    difference / (sum / static_cast<double>(lag)), 1e-9)
            << "hop " << hop << " frame " << t << " lag " << lag;
      }
    }
  }
}

TEST(Yin, AnImpossibleRangeIsRefused) {
  EXPECT_THROW((void)pyin({}, {.fmin_hz = 500, .fmax_hz = 100}), Error);
  EXPECT_THROW((void)pyin({}, {.fmin_hz = 50, .fmax_hz = 9000}), Error);
  EXPECT_THROW((void)yin({}, {.fmin_hz = 5}), Error);
}

}  // namespace
}  // namespace melisma
