// The table of metrics on waves whose answers are known, and on waves that have none.
#include "eval/metrics/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <set>

#include "tests/support/golden.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr int64_t kTestRate = 40000;

// A buzz of ten harmonics over a faint hiss, one second.
std::vector<float> buzz(double f0_hz, double gain = .3, double seconds = 1) {
  std::vector<float> wave(static_cast<std::size_t>(seconds * kTestRate));
  testing::Lcg hiss(7);
  for (std::size_t i = 0; i < wave.size(); ++i) {
    double sum = 0;
    for (int h = 1; h <= 10; ++h) {
      sum += std::sin(2 * std::numbers::pi * f0_hz * h * static_cast<double>(i) / kTestRate) / h;
    }
    wave[i] = static_cast<float>(gain * (sum + .02 * hiss.next()));
  }
  return wave;
}

// Every metric by name.
std::map<std::string, MetricValue> measure_all(const std::vector<float>& reference,
                                               const std::vector<float>& estimate) {
  std::vector<std::string> names;
  for (const auto& metric : kMetrics) names.emplace_back(metric.name);
  const auto metrics = metrics_named(names);
  const auto values = measure(metrics, MeasuredWave(reference, kTestRate), MeasuredWave(estimate, kTestRate));
  std::map<std::string, MetricValue> by_name;
  for (std::size_t i = 0; i < metrics.size(); ++i) by_name[std::string(metrics[i]->name)] = values[i];
  return by_name;
}

}  // namespace

TEST(Metrics, HaveNamesOfTheirOwnAndSayWhatTheyAre) {
  std::set<std::string_view> names;
  for (const auto& metric : kMetrics) {
    EXPECT_TRUE(names.insert(metric.name).second) << metric.name;
    EXPECT_GT(metric.summary.size(), 15u) << metric.name;
  }
}

TEST(Metrics, ACopyIsPerfect) {
  auto values = measure_all(buzz(200), buzz(200));
  for (const auto* name : {"mel_distance", "mr_stft", "mcd", "f0_rmse_cents", "voicing_error", "gross_pitch_error",
                           "loudness_difference", "lsd"}) {
    EXPECT_NEAR(values[name].value, 0, 1e-9) << name;
  }
  EXPECT_EQ(values["si_sdr"].why_none, "identical: no error to compare with");
}

TEST(Metrics, HalfTheLevelIsSixDecibelsEverywhere) {
  auto values = measure_all(buzz(200), buzz(200, .15));
  EXPECT_NEAR(values["loudness_difference"].value, 20 * std::log10(2), .02);
  EXPECT_NEAR(values["snr"].value, 20 * std::log10(2), 1e-3);
  EXPECT_NEAR(values["f0_rmse_cents"].value, 0, .5);
  EXPECT_LT(values["mcd"].value, .3);
  EXPECT_GT(values["mel_distance"].value, .2);
  EXPECT_LT(values["mel_distance"].value, std::log(2) + 1e-6);
}

TEST(Metrics, ASemitoneIsAHundredCents) {
  auto values = measure_all(buzz(200), buzz(200 * std::exp2(1.0 / 12)));
  EXPECT_NEAR(values["f0_rmse_cents"].value, 100, 5);
  EXPECT_EQ(values["gross_pitch_error"].value, 0);
}

TEST(Metrics, WavesOfTwoLengthsAreCutToTheShorter) {
  auto values = measure_all(buzz(200), buzz(200, .3, .9));
  EXPECT_NEAR(values["mel_distance"].value, 0, 1e-9);
}

TEST(Metrics, NumbersThatDoNotExistHaveReasons) {
  const std::vector<float> silence(kTestRate, 0.F);
  auto of_silence = measure_all(silence, buzz(200));
  for (const auto& [name, value] : of_silence) EXPECT_EQ(value.why_none, "silent reference") << name;
  auto silent_estimate = measure_all(buzz(200), silence);
  EXPECT_EQ(silent_estimate["f0_rmse_cents"].why_none, "no frame voiced in both");
  EXPECT_TRUE(std::isfinite(silent_estimate["mel_distance"].value));
  EXPECT_FALSE(silent_estimate["loudness_difference"].why_none.empty());
  auto broken = buzz(200);
  broken[100] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(measure_all(buzz(200), broken)["mcd"].why_none, "samples that are not finite");
  EXPECT_EQ(measure_all(buzz(200, .3, .01), buzz(200))["mr_stft"].why_none, "shorter than 60 ms");
  EXPECT_EQ(measure_all({}, {})["lsd"].why_none, "shorter than 60 ms");
}

TEST(Metrics, AnUnknownNameIsAnsweredWithTheNearest) {
  const std::string wrong[] = {"mel_distanse"};
  try {
    (void)metrics_named(wrong);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_NE(error.message().find("did you mean 'mel_distance'"), std::string::npos) << error.message();
  }
}

}  // namespace melisma
