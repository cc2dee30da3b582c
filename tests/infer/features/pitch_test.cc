#include "infer/features/pitch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::GoldenFile;

// Six harmonics: Harvest and DIO want more than a sine.
Waveform tone(double hz, std::int64_t rate_hz, double seconds, std::int64_t channels = 1) {
  Waveform wave{.n_channels = channels, .sample_rate_hz = rate_hz};
  const auto n = static_cast<std::int64_t>(seconds * static_cast<double>(rate_hz));
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t i = 0; i < n; ++i) {
      const auto phase = 2 * std::numbers::pi * hz * static_cast<double>(i) / static_cast<double>(rate_hz);
      double sum = 0;
      for (int h = 1; h <= 6; ++h) sum += std::sin(h * phase) / h;
      wave.samples.push_back(static_cast<float>(0.3 * sum));
    }
  }
  return wave;
}

TEST(GoldenPitchPost, CoarseBinsEqualRvcs) {
  const auto found = testing::golden_files("rvc", "f0_post", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& file : found.files) {
    const auto golden = GoldenFile::load(file);
    const auto &f0 = golden.at("coarse.f0").values, &bins = golden.at("coarse.bins").values;
    for (std::size_t i = 0; i < f0.size(); ++i) {
      EXPECT_EQ(static_cast<double>(coarse_pitch(f0[i])), bins[i]) << f0[i] << " Hz";
    }
  }
}

TEST(GoldenPitchPost, ShiftsAndFillsAsRvc) {
  const auto found = testing::golden_files("rvc", "f0_post", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& file : found.files) {
    const auto golden = GoldenFile::load(file);
    const auto filled = fill_unvoiced(golden.at("interp.in").floats());
    EXPECT_TRUE(testing::near_all(golden.at("interp.out").values, filled, 1e-4));
    for (const int semitones : {-12, -5, 3, 12}) {
      EXPECT_TRUE(testing::near_all(golden.at("shift." + std::to_string(semitones)).values,
                                    shift_pitch(filled, semitones), 1e-4, 1e-6))
          << semitones;
    }
  }
}

// Of whole hops, as RVC pads its input: what RVC makes with the same method, cut to whole frames.
TEST(GoldenPitch, ClassicalMethodsGiveRvcsFrames) {
  const auto found = testing::golden_files("rvc", "f0_classic", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no fixtures";
  for (const auto& file : found.files) {
    const auto golden = GoldenFile::load(file);
    for (const std::string name : {"glide", "noise", "voice"}) {
      std::vector<float> wave;
      for (const auto value : golden.at(name + ".audio_i16").values) wave.push_back(static_cast<float>(value / 32768));
      for (const auto& [method, tensor] :
           {std::pair{"harvest", ".harvest_stonemask"}, {"dio", ".dio_stonemask"}, {"pm", ".pm"}}) {
        auto expected = golden.at(name + tensor).values;
        const auto f0 = extract_pitch(wave, {.method = method});
        ASSERT_EQ(f0.size(), wave.size() / 160);
        expected.resize(f0.size());
        EXPECT_TRUE(testing::near_all(expected, f0, 0, 1e-5)) << name << " " << method;
      }
    }
  }
}

TEST(Pitch, EveryMethodReadsAToneAtAnyRate) {
  for (const auto& method : kPitchMethods) {
    if (method.needs_weights) continue;
    for (const std::int64_t rate : {16000, 22050, 44100, 48000}) {
      const auto wave = tone(220, rate, 1.0, 2);
      const auto f0 = extract_pitch(wave, {.method = std::string(method.name)});
      ASSERT_EQ(f0.size(), 100U);
      for (std::size_t t = 10; t < 90; ++t) EXPECT_LT(1200 * std::abs(std::log2(f0[t] / 220)), 0.5) << method.name;
    }
  }
}

TEST(Pitch, EveryMethodFindsNoneInSilenceAndSurvivesAnything) {
  for (const auto& method : kPitchMethods) {
    if (method.needs_weights) continue;
    const PitchConfig config{.method = std::string(method.name)};
    for (const auto hz : extract_pitch(std::vector<float>(16000), config)) EXPECT_EQ(hz, 0);
    EXPECT_TRUE(extract_pitch(std::span<const float>{}, config).empty());
    EXPECT_TRUE(extract_pitch(std::vector<float>(159, 0.1F), config).empty());
    EXPECT_EQ(extract_pitch(std::vector<float>(160, 0.1F), config).size(), 1U);
    std::vector<float> broken(8000, std::nanf(""));
    EXPECT_EQ(extract_pitch(broken, config).size(), 50U);
  }
}

TEST(Pitch, AnUnknownMethodNamesItsNeighbour) {
  try {
    (void)extract_pitch(std::span<const float>{}, {.method = "harvst"});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_TRUE(error.message().starts_with("unknown pitch method 'harvst'; did you mean 'harvest'? known: pyin, "))
        << error.message();
  }
}

TEST(Pitch, KeysTellSettingsApartAndGiveThemBack) {
  const PitchConfig a, b{.fmax_hz = 800};
  EXPECT_EQ(key_of(a).kind, "pitch");
  EXPECT_EQ(key_of(a).parameters, R"({"method":"pyin","fmin_hz":50.0,"fmax_hz":1100.0,"revision":1})");
  EXPECT_NE(key_of(a).parameters, key_of(b).parameters);
  EXPECT_EQ(pitch_config_of(key_of(b).parameters), b);
  EXPECT_THROW((void)pitch_config_of("nonsense"), Error);
  EXPECT_THROW((void)pitch_config_of(R"({"method":"pyin","revision":99})"), Error);
}

TEST(Pitch, ImportedCurvesHaveAKeyAndNoMethod) {
  const PitchConfig imported{.method = "imported"};
  EXPECT_EQ(key_of(imported).parameters, R"({"method":"imported","fmin_hz":50.0,"fmax_hz":1100.0,"revision":1})");
  EXPECT_EQ(pitch_config_of(key_of(imported).parameters), imported);
  EXPECT_THAT(testing::refusal_of(ErrorKind::config, [&] { (void)extract_pitch(std::vector<float>(1600), imported); }),
              ::testing::StartsWith("pitch 'imported' was found by another tool, which is not asked here; choose a "
                                    "method: pyin, yin"));
  EXPECT_THROW((void)extract_pitch(std::vector<float>(1600), {.method = "median(imported, yin)"}), Error);
}

TEST(Pitch, SummaryCountsVoicedFramesOnly) {
  const std::vector<float> f0{0, 100, 200, 300, 0, 0};
  const auto summary = summarise_pitch(f0);
  EXPECT_DOUBLE_EQ(summary.voiced_share, 0.5);
  EXPECT_DOUBLE_EQ(summary.median_hz, 200);
  EXPECT_DOUBLE_EQ(summary.low_hz, 110);
  EXPECT_DOUBLE_EQ(summary.high_hz, 290);
  EXPECT_EQ(summarise_pitch(std::vector<float>(5)).voiced_share, 0);
}

}  // namespace
}  // namespace melisma
