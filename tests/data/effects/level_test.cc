// Effects on the level, on known signals.
#include <gtest/gtest.h>

#include <set>

#include "data/audio/loudness.h"
#include "data/effects/decibels.h"
#include "tests/data/effects/known_signals.h"

namespace melisma {
namespace {
using testing::amplitude_at;
using testing::db;
using testing::kRate;
using testing::middle;
using testing::noise;
using testing::peak;
using testing::rms;
using testing::sine;
using testing::square;
using testing::with_effect;

TEST(GainEffect, AddsItsDecibels) {
  const auto in = noise(0.4, 0.1);
  const auto out = with_effect("gain\ngain_db = -4.5", in);
  for (std::size_t n = 0; n < in.size(); ++n) ASSERT_NEAR(out[n], in[n] * std::pow(10, -4.5 / 20), 1e-7);
}

TEST(DistortionEffect, BendsAsTheHyperbolicTangentDoes) {
  const auto in = noise(0.9, 0.1);
  const auto out = with_effect("distortion\ndrive_db = 12", in);
  const double drive = std::pow(10, 12.0 / 20);
  for (std::size_t n = 0; n < in.size(); ++n) ASSERT_NEAR(out[n], std::tanh(drive * static_cast<double>(in[n])), 1e-6);
  const auto tone = with_effect("distortion\ndrive_db = 24", sine(441, 0.5, 0.5));
  EXPECT_GT(amplitude_at(middle(tone), 1323), 0.2);  // odd harmonics
  EXPECT_LT(amplitude_at(middle(tone), 882), 1e-4);  // no even ones
  EXPECT_NEAR(db(rms(with_effect("distortion\ndrive_db = 20", sine(441, 1e-4, 0.5))) / rms(sine(441, 1e-4, 0.5))), 20,
              0.01);
}

TEST(ClippingEffect, CutsOffAtItsThresholdAndNothingBelow) {
  const auto in = sine(441, 1, 0.2);
  const auto out = with_effect("clipping\nthreshold_db = -6", in);
  const double limit = std::pow(10, -6.0 / 20);
  EXPECT_NEAR(peak(out), limit, 1e-6);
  for (std::size_t n = 0; n < in.size(); ++n) {
    if (std::abs(in[n]) < limit) {
      ASSERT_EQ(out[n], in[n]);
    }
  }
}

TEST(BitcrushEffect, LeavesTwoToTheBitsLevels) {
  for (const int bits : {1, 3, 8}) {
    const auto in = noise(1.2, 0.5);
    const auto out = with_effect("bitcrush\nbits = " + std::to_string(bits), in);
    const std::set<float> levels(out.begin(), out.end());
    EXPECT_EQ(levels.size(), 1u << bits) << bits;
    EXPECT_EQ(*levels.begin(), -1);
  }
  // Rounding noise of 8 bits: a step of 1/128 is 1/(128 sqrt(12)).
  const auto in = sine(441.3, 0.9, 1);
  auto error = with_effect("bitcrush\nbits = 8", in);
  for (std::size_t n = 0; n < in.size(); ++n) error[n] -= in[n];
  EXPECT_NEAR(rms(error), 1 / (128 * std::sqrt(12)), 1e-4);
}

// The level that a compressor ends up at.
double settled_db(const std::string& settings, double level_db) {
  const auto out =
      with_effect("compressor\nattack_ms = 2\nrelease_ms = 20\n" + settings, square(factor_of_db(level_db), 0.5));
  return db(peak(std::span(out).last(1000)));
}

TEST(CompressorEffect, FollowsItsStaticCurveToATenthOfADecibel) {
  const std::string hard = "threshold_db = -20\nratio = 4\nknee_db = 0";
  for (const auto& [in_db, out_db] :
       std::map<double, double>{{-60, -60}, {-21, -21}, {-12, -18}, {-4, -16}, {0, -15}}) {
    EXPECT_NEAR(settled_db(hard, in_db), out_db, 0.01) << in_db;
  }
  // Inside the knee of 10 dB: (1/ratio - 1) (over + 5)^2 / 20.
  const std::string soft = "threshold_db = -20\nratio = 4\nknee_db = 10\nmakeup_db = 3";
  for (const auto& [in_db, out_db] :
       std::map<double, double>{{-30, -27}, {-22, -19.3375}, {-20, -17.9375}, {-17, -16.4}, {-5, -13.25}}) {
    EXPECT_NEAR(settled_db(soft, in_db), out_db, 0.01) << in_db;
  }
  EXPECT_NEAR(settled_db("threshold_db = -20\nratio = 1000\nknee_db = 0", -3), -20, 0.02);
}

TEST(CompressorEffect, TakesItsAttackAndReleaseFromTenToNinetyPercent) {
  CompressorGain gain({.threshold_db = -20, .ratio = 4, .attack_ms = 10, .release_ms = 50, .knee_db = 0}, kRate);
  // Frames until `share` of the way to `target_db` is gone.
  const auto frames_until = [&](double level, double share, double from_db, double target_db) {
    int n = 1;
    while (std::abs(gain.next_db(level) - from_db) < share * std::abs(target_db - from_db)) ++n;
    return n;
  };
  const double target_db = -15;
  const int to_tenth = frames_until(1, 0.1, 0, target_db), to_ninth = frames_until(1, 0.9, 0, target_db);
  EXPECT_GT(to_tenth, 0);
  EXPECT_NEAR(to_ninth / static_cast<double>(kRate), 0.010, 0.0001);
  for (int n = 0; n < kRate; ++n) gain.next_db(1);
  frames_until(0, 0.1, target_db, 0);
  EXPECT_NEAR(frames_until(0, 0.9, target_db, 0) / static_cast<double>(kRate), 0.050, 0.0002);
}

TEST(CompressorEffect, TheLoudestChannelDecidesForAll) {
  auto samples = square(1, 0.2);
  const auto n = samples.size();
  const auto quiet = square(0.01, 0.2);
  samples.insert(samples.end(), quiet.begin(), quiet.end());
  auto effect = testing::made_of(testing::effect_table("compressor\nthreshold_db = -20\nratio = 4\nknee_db = 0"), 2);
  const auto out = testing::through(*effect, {std::move(samples), 2, kRate});
  EXPECT_NEAR(db(std::abs(out.samples[n - 1])), -15, 0.01);
  EXPECT_NEAR(db(std::abs(out.samples[2 * n - 1])), -40 - 15, 0.01);
}

TEST(NoiseGateEffect, ClosesOnNoiseAndLetsTheToneThrough) {
  auto in = noise(0.001, 1);
  const auto tone = sine(441, 0.5, 1);
  in.insert(in.end(), tone.begin(), tone.end());
  const auto rest = noise(0.001, 1, 9);
  in.insert(in.end(), rest.begin(), rest.end());
  const auto out = with_effect("noise-gate\nthreshold_db = -40\nrange_db = 60\nhold_ms = 20\nrelease_ms = 50", in);
  const auto part = [](const std::vector<float>& wave, double from_s, double to_s) {
    return std::span(wave).subspan(static_cast<std::size_t>(from_s * kRate),
                                   static_cast<std::size_t>((to_s - from_s) * kRate));
  };
  EXPECT_NEAR(db(rms(part(out, 0, 1)) / rms(part(in, 0, 1))), -60, 0.01);
  EXPECT_NEAR(db(rms(part(out, 1.02, 2)) / rms(part(in, 1.02, 2))), 0, 0.001);
  // Open for the hold of 20 ms after the last loud sample; then down by the range.
  EXPECT_NEAR(db(rms(part(out, 2, 2.018)) / rms(part(in, 2, 2.018))), 0, 0.01);
  EXPECT_NEAR(db(rms(part(out, 2.5, 3)) / rms(part(in, 2.5, 3))), -60, 0.1);
}

TEST(LimiterEffect, NothingExceedsTheCeiling) {
  // Bursts of noise, single clicks, a square that starts at once.
  auto in = noise(0.1, 0.3);
  for (const auto& part : {noise(2, 0.3), testing::impulse(3000, 9000), square(3, 0.2), noise(0.05, 0.3)}) {
    in.insert(in.end(), part.begin(), part.end());
  }
  for (const std::string peaks : {"true", "false"}) {
    for (const std::string look_ahead : {"0.1", "1", "5"}) {
      const auto out =
          with_effect("limiter\nceiling_db = -3\ntrue_peak = " + peaks + "\nlook_ahead_ms = " + look_ahead, in);
      EXPECT_LE(peak(out), std::pow(10, -3.0 / 20) * (1 + 1e-7)) << peaks << look_ahead;
      EXPECT_GT(peak(out), std::pow(10, -3.4 / 20)) << peaks << look_ahead;
      // What lies below passes as it is, until the first burst comes near.
      for (std::size_t n = 0; n < static_cast<std::size_t>(0.29 * kRate); ++n) ASSERT_EQ(out[n], in[n]);
    }
  }
}

TEST(LimiterEffect, TruePeaksStayBelowTheCeilingToo) {
  // At a quarter of the rate and 45 degrees off, a sine's peaks lie 3 dB above its samples.
  std::vector<float> in(2 * kRate);
  for (std::size_t n = 0; n < in.size(); ++n) {
    in[n] = static_cast<float>(std::sin(std::numbers::pi * (0.5 * static_cast<double>(n) + 0.25)));
  }
  // Noise up to half the rate is louder between its samples by every filter another amount; a little below that all
  // agree.
  const auto bursts = with_effect("low-pass\nfrequency_hz = 14000\norder = 8", noise(1.5, 1));
  in.insert(in.end(), bursts.begin(), bursts.end());
  const auto true_peak_db = [](const std::vector<float>& wave) {
    return measure_loudness({wave, 1, kRate}).true_peak_db;
  };
  EXPECT_GT(true_peak_db(with_effect("limiter\nceiling_db = -3\ntrue_peak = false", in)), -1);
  const double limited = true_peak_db(with_effect("limiter\nceiling_db = -3", in));
  EXPECT_LT(limited, -2.95);
  EXPECT_GT(limited, -3.5);
}

TEST(LimiterEffect, RecoversInItsReleaseTime) {
  auto in = sine(441, 0.1, 2);
  in[kRate / 2] = 2;
  const auto out = with_effect("limiter\nceiling_db = 0\nrelease_ms = 100\ntrue_peak = false", in);
  const auto gain_at = [&](double seconds) {
    const auto first = static_cast<std::size_t>(seconds * kRate);
    return peak(std::span(out).subspan(first, 100)) / peak(std::span(in).subspan(first, 100));
  };
  EXPECT_NEAR(gain_at(0.49), 1, 1e-6);
  // Half is missing at the click; nine tenths of that are made up between 10 and 90 %, 100 ms.
  EXPECT_NEAR(gain_at(0.5 + 0.1), 1 - 0.5 / 9, 0.02);
  EXPECT_NEAR(gain_at(0.9), 1, 0.001);
}

TEST(GoldenEffects, CompressorsFollowTheReference) {
  const auto found = testing::golden_files("mixing", "effects", ".json");
  if (!found.has_topic) GTEST_SKIP() << "no mixing fixtures";
  for (const auto& file : found.files) {
    auto tensors_file = file;
    const auto golden = testing::GoldenFile::load(tensors_file.replace_extension(".safetensors"));
    const auto& x = golden.at("x");
    int n_checked = 0;
    const auto cases = testing::load_json(file).at("cases");
    for (const auto& fixture : cases) {
      const std::string name = fixture.at("name");
      if (!name.starts_with("compressor") || fixture.at("lookahead") != 0) continue;
      const auto& p = fixture.at("params");
      // One time constant for falling and rising, and the sum of the channels decides.
      CompressorGain gain({.threshold_db = p.at("threshold_db"),
                           .ratio = p.at("ratio"),
                           .attack_ms = p.at("attack_ms"),
                           .release_ms = p.at("attack_ms"),
                           .knee_db = p.at("knee_db")},
                          44100);
      std::vector<double> got(x.values.size());
      const auto n = got.size() / 2;
      for (std::size_t k = 0; k < n; ++k) {
        const double level = std::abs(x.values[k] + x.values[n + k]);
        const double factor = factor_of_db(gain.next_db(level) + p.at("makeup_gain_db").get<double>());
        for (const auto at : {k, n + k}) got[at] = factor * x.values[at];
      }
      // The reference filters in the frequency domain and wraps a little of the end to the beginning.
      const double wrapped = fixture.at("recursion_vs_fsm_max_abs");
      EXPECT_TRUE(testing::near_all(golden.at(name).values, got, 1e-9 + 1.001 * wrapped)) << name;
      ++n_checked;
    }
    EXPECT_GT(n_checked, 0) << file;
  }
}

}  // namespace
}  // namespace melisma
