#include "data/audio/fate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

namespace melisma {
namespace {

constexpr std::int64_t kRate = 16000;

std::vector<float> tone(double amplitude, double seconds, double frequency_hz = 100) {
  std::vector<float> samples(static_cast<std::size_t>(seconds * kRate));
  for (std::size_t n = 0; n < samples.size(); ++n) {
    samples[n] = static_cast<float>(amplitude * std::sin(2 * M_PI * frequency_hz * static_cast<double>(n) / kRate));
  }
  return samples;
}

std::vector<float> clamped(std::vector<float> samples, float limit) {
  for (auto& sample : samples) sample = std::clamp(sample, -limit, limit);
  return samples;
}

// In two blocks, the second as short as it can be.
Assessment assessed(const std::vector<float>& samples, const FateConfig& config = {}) {
  FateAssessor assessor(config, kRate, 1);
  const auto head = samples.empty() ? 0 : samples.size() - 1;
  assessor.add(std::span(samples).first(head));
  assessor.add(std::span(samples).subspan(head));
  return assessor.finish();
}

TEST(Fate, EveryFateHasANameAndASummary) {
  std::set<std::string_view> names;
  for (const auto& row : kFates) {
    EXPECT_TRUE(names.insert(row.name).second);
    EXPECT_FALSE(row.summary.empty());
    EXPECT_EQ(&row_of(row.fate), &row);
  }
}

TEST(Fate, AToneIsKept) {
  const auto result = assessed(tone(0.5, 1));
  EXPECT_EQ(name_of(result.fate), "kept");
  EXPECT_EQ(result.reason, "");
  EXPECT_DOUBLE_EQ(result.seconds, 1);
  EXPECT_NEAR(result.peak, 0.5, 1e-6);
}

TEST(Fate, FiftyMillisecondsAreTooShort) {
  const auto result = assessed(tone(0.5, 0.05));
  EXPECT_EQ(name_of(result.fate), "too_short");
  EXPECT_EQ(result.reason, "0.05 s, at least 0.4 s are needed");
  EXPECT_EQ(name_of(assessed({}).fate), "too_short");
  EXPECT_EQ(name_of(assessed({}, {.min_seconds = 0}).fate), "too_short");
}

TEST(Fate, SilenceIsNamed) {
  EXPECT_EQ(assessed(tone(0, 1)).reason, "digital silence");
  const auto faint = assessed(tone(0.0005, 1));
  EXPECT_EQ(name_of(faint.fate), "silent");
  EXPECT_EQ(faint.reason, "peak -66.0 dB, silence is below -60.0 dB");
  EXPECT_EQ(name_of(assessed(tone(0.002, 1)).fate), "kept");
}

TEST(Fate, OneNonFiniteSampleIsEnough) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    auto samples = tone(0.5, 1);
    samples[777] = bad;
    const auto result = assessed(samples);
    EXPECT_EQ(name_of(result.fate), "non_finite");
    EXPECT_EQ(result.reason, "1 of 16000 samples are NaN or infinite");
    EXPECT_NEAR(result.peak, 0.5, 1e-6);
  }
}

TEST(Fate, FlatTopsAreClippedAndStillKept) {
  const auto result = assessed(clamped(tone(1.5, 1), 1));
  EXPECT_EQ(name_of(result.fate), "clipped");
  EXPECT_TRUE(is_kept(result.fate));
  EXPECT_GT(result.clipped_share, 0.4);
  EXPECT_NE(result.reason.find("% of the samples are clipped"), std::string::npos);
}

TEST(Fate, TouchingOrPassingFullScaleIsNotClipping) {
  EXPECT_EQ(name_of(assessed(tone(1.0, 1, 441)).fate), "kept");
  EXPECT_EQ(name_of(assessed(tone(1.4, 1, 441)).fate), "kept");
}

TEST(Fate, AFlatTopAcrossBlocksCounts) {
  std::vector<float> samples(8000, 0.1f);
  for (int n = 7995; n < 8000; ++n) samples[static_cast<std::size_t>(n)] = 1.0f;
  EXPECT_NEAR(assessed(samples).clipped_share, 5.0 / 8000, 1e-12);
}

TEST(Fate, OneClippedChannelOfTwoIsSeen) {
  Waveform stereo{.samples = std::vector<float>(2 * kRate), .n_channels = 2, .sample_rate_hz = kRate};
  const auto quiet = tone(0.2, 1), hot = clamped(tone(3, 1), 1);
  std::copy(quiet.begin(), quiet.end(), stereo.channel(0).begin());
  std::copy(hot.begin(), hot.end(), stereo.channel(1).begin());
  FateAssessor assessor({}, kRate, 2);
  assessor.add(stereo);
  EXPECT_EQ(name_of(assessor.finish().fate), "clipped");
}

}  // namespace
}  // namespace melisma
