// The resynthesis suite on a small dataset whose answers are known.
#include "eval/suites/resynthesis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "data/sets/dataset_writer.h"
#include "tests/support/golden.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr std::int64_t kRate = 16000;
constexpr std::int64_t kClipLength = kRate / 2;

// `n_recordings` validation recordings of two clips each: buzzes, the last one silent if asked for.
Dataset make_dataset(const testing::TemporaryFolder& folder, std::int64_t n_recordings, bool last_is_silent = false) {
  DatasetPlan plan{.sample_rate_hz = kRate, .parameters = "{}", .tool_version = "0.1.0", .speakers = {"anna"}};
  for (std::int64_t i = 0; i < 2 * n_recordings; ++i) {
    plan.clips.push_back({.recording = "take" + std::to_string(i / 2) + ".wav",
                          .recording_offset = (i % 2) * kClipLength,
                          .length = kClipLength,
                          .split = Split::validation});
  }
  for (std::int64_t i = 0; i < n_recordings; ++i) {
    plan.recordings.push_back({.path = "take" + std::to_string(i) + ".wav",
                               .speaker = "anna",
                               .fate = "kept",
                               .seconds = 1,
                               .kept_seconds = 1,
                               .n_clips = 2,
                               .split = "validation"});
  }
  write_dataset(folder / "set.h5", plan, [&](DatasetWriter& writer) {
    for (std::int64_t i = 0; i < 2 * n_recordings; ++i) {
      std::vector<float> wave(kClipLength);
      const double f0 = 150 + 10.0 * static_cast<double>(i);
      for (std::size_t n = 0; n < wave.size(); ++n) {
        const double phase = 2 * std::numbers::pi * f0 * static_cast<double>(n) / kRate;
        wave[n] = static_cast<float>(.2 * std::sin(phase) + .1 * std::sin(2 * phase) + .05 * std::sin(3 * phase));
        if (last_is_silent && i / 2 == n_recordings - 1) wave[n] = 0;
      }
      writer.write_wave(i, wave);
    }
  });
  return Dataset::open(folder / "set.h5");
}

Candidate scaled(const Dataset& dataset, std::string name, float gain) {
  return {std::move(name), "the clip at another level", [&dataset, gain](const Clip& clip) {
            auto wave = dataset.wave(clip);
            for (float& x : wave) x *= gain;
            return wave;
          }};
}

}  // namespace

TEST(Resynthesis, TheBetterModelIsBetterInEveryRecording) {
  const testing::TemporaryFolder folder;
  const auto dataset = make_dataset(folder, 8);
  const auto result = run_resynthesis(
      dataset, {.metrics = {"mel_distance", "loudness_difference"}},
      {scaled(dataset, "quieter", .9F), scaled(dataset, "much quieter", .1F), recording_itself(dataset)});
  EXPECT_EQ(result.n_clips, 16);
  EXPECT_EQ(result.recordings.size(), 8u);
  ASSERT_EQ(result.candidates.size(), 3u);
  const auto& loudness = result.candidates[0].metrics[1];
  EXPECT_NEAR(loudness.over_recordings.mean, -20 * std::log10(.9), .05);
  EXPECT_NEAR(result.candidates[2].metrics[0].over_recordings.mean, 0, 1e-9);
  ASSERT_EQ(result.differences.size(), 2u);  // none with the perfect copy
  for (const auto& difference : result.differences) {
    EXPECT_TRUE(difference.is_better) << difference.metric->name;
    EXPECT_DOUBLE_EQ(difference.p, 2.0 / 256);  // all eight of one sign
    EXPECT_DOUBLE_EQ(difference.p_holm, 4.0 / 256);
    EXPECT_LT(difference.relative_percent, -50);
  }
  EXPECT_NE(to_table(result).find("mel_distance, Np"), std::string::npos);
}

TEST(Resynthesis, ClipsWithoutANumberAreLeftOutAndCounted) {
  const testing::TemporaryFolder folder;
  const auto dataset = make_dataset(folder, 3, true);
  const auto result = run_resynthesis(dataset, {.metrics = {"mel_distance"}}, {scaled(dataset, "quieter", .5F)});
  const auto& summary = result.candidates[0].metrics[0];
  EXPECT_EQ(summary.over_recordings.n, 2);
  EXPECT_EQ(summary.n_clips, 4);
  ASSERT_EQ(summary.left_out.size(), 1u);
  EXPECT_EQ(summary.left_out[0].first, "silent reference");
  EXPECT_EQ(summary.left_out[0].second, 2);
  const auto json = to_json(result);
  EXPECT_TRUE(json["candidates"][0]["metrics"]["mel_distance"]["recordings"][2].is_null());
  EXPECT_EQ(json["candidates"][0]["metrics"]["mel_distance"]["left_out"]["silent reference"], 2);
}

TEST(Resynthesis, OneRecordingHasNoInterval) {
  const testing::TemporaryFolder folder;
  const auto dataset = make_dataset(folder, 1);
  const auto result = run_resynthesis(dataset, {.metrics = {"mel_distance"}}, {scaled(dataset, "quieter", .5F)});
  EXPECT_TRUE(to_json(result)["candidates"][0]["metrics"]["mel_distance"]["low"].is_null());
  EXPECT_NE(to_table(result).find("no interval"), std::string::npos);
}

TEST(Resynthesis, FewerClipsAreSpreadOverTheSplit) {
  const testing::TemporaryFolder folder;
  const auto dataset = make_dataset(folder, 4);
  const auto result = run_resynthesis(dataset, {.metrics = {"snr"}, .max_clips = 4}, {scaled(dataset, "quieter", .5F)});
  EXPECT_EQ(result.n_clips, 4);
  EXPECT_EQ(result.recordings.size(), 4u);
}

TEST(Resynthesis, AnEmptySplitIsAnError) {
  const testing::TemporaryFolder folder;
  const auto dataset = make_dataset(folder, 1);
  EXPECT_THROW((void)run_resynthesis(dataset, {.split = Split::test}, {scaled(dataset, "quieter", .5F)}), Error);
}

}  // namespace melisma
