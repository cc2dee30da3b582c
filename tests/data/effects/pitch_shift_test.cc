// Pitch, formants, rates and MP3 on known signals.
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <complex>

#include "data/audio/iir.h"
#include "data/audio/resample.h"
#include "tests/data/effects/known_signals.h"

namespace melisma {
namespace {
using testing::amplitude_at;
using testing::db;
using testing::kRate;
using testing::middle;
using testing::peak;
using testing::rms;
using testing::sine;
using testing::with_effect;

// The frequency of a steady tone near `about_hz`, to a thousandth of a Hz: how far its phase turns in half the signal.
double frequency_near(std::span<const float> samples, double about_hz, double rate_hz = kRate) {
  const auto half = samples.size() / 2;
  const auto phase = [&](std::span<const float> part, double hz) {
    std::complex<double> sum = 0;
    for (std::size_t n = 0; n < part.size(); ++n) {
      const double place = static_cast<double>(n) / static_cast<double>(part.size());
      const double window = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * place);
      sum += window * static_cast<double>(part[n]) *
             std::polar(1.0, -2 * std::numbers::pi * hz * static_cast<double>(n) / rate_hz);
    }
    return sum;
  };
  double hz = about_hz;
  for (int round = 0; round < 5; ++round) {
    const auto turned =
        phase(samples.last(half), hz) / phase(samples.first(half), hz) *
        std::polar(1.0, -2 * std::numbers::pi * hz * static_cast<double>(samples.size() - half) / rate_hz);
    hz += std::arg(turned) / (2 * std::numbers::pi) * rate_hz / static_cast<double>(samples.size() - half);
  }
  return hz;
}

double cents(double ratio) { return 1200 * std::log2(ratio); }

TEST(PitchShiftEffect, MovesATonePerfectlyAndKeepsItsLengthAndLoudness) {
  for (const double semitones : {-12.0, -5.0, -0.3, 0.5, 4.0, 7.0, 12.0}) {
    const auto in = sine(441.7, 0.5, 2);
    const auto out = with_effect("pitch-shift\nsemitones = " + std::to_string(semitones), in);
    ASSERT_EQ(out.size(), in.size());
    const double wanted_hz = 441.7 * std::exp2(semitones / 12);
    EXPECT_NEAR(cents(frequency_near(middle(out), wanted_hz) / wanted_hz), 0, 0.1) << semitones;
    EXPECT_NEAR(db(amplitude_at(middle(out), wanted_hz) / 0.5), 0, 0.2) << semitones;
    EXPECT_NEAR(db(rms(middle(out)) / rms(middle(in))), 0, 0.2) << semitones << ": something else sounds too";
  }
}

TEST(PitchShiftEffect, MovesEveryToneOfAChord) {
  auto in = sine(300, 0.2, 2);
  for (const double hz : {500.0, 1100.0, 2600.0}) {
    const auto tone = sine(hz, 0.2, 2);
    for (std::size_t n = 0; n < in.size(); ++n) in[n] += tone[n];
  }
  const auto out = with_effect("pitch-shift\nsemitones = 7", in);
  for (const double hz : {300.0, 500.0, 1100.0, 2600.0}) {
    const double wanted_hz = hz * std::exp2(7.0 / 12);
    EXPECT_NEAR(cents(frequency_near(middle(out), wanted_hz) / wanted_hz), 0, 0.5) << hz;
    EXPECT_NEAR(db(amplitude_at(middle(out), wanted_hz) / 0.2), 0, 0.5) << hz;
  }
}

TEST(PitchShiftEffect, SoundsStayWhereTheyAre) {
  auto in = std::vector<float>(2 * kRate);
  const auto burst = sine(600, 0.5, 0.2);
  std::copy(burst.begin(), burst.end(), in.begin() + kRate);
  for (const double semitones : {-7.0, 7.0}) {
    const auto out = with_effect("pitch-shift\nsemitones = " + std::to_string(semitones), in);
    double sum = 0, moment = 0;
    for (std::size_t n = 0; n < out.size(); ++n) {
      const double energy = static_cast<double>(out[n]) * static_cast<double>(out[n]);
      sum += energy;
      moment += energy * static_cast<double>(n);
    }
    EXPECT_NEAR(moment / sum / kRate, 1.1, 0.003) << semitones;
  }
}

constexpr std::int64_t kVowelRate = 40000;

// A vowel: harmonics of a pitch up to 18 kHz through resonators at the formants. The pitch rises by twice
// `glide_semitones`, so that every part of the envelope is heard.
std::vector<float> vowel(double f0_hz, const std::vector<double>& formants_hz, double glide_semitones,
                         double seconds = 2) {
  std::vector<double> wave(static_cast<std::size_t>(seconds * kVowelRate));
  double turns = 0;
  for (std::size_t n = 0; n < wave.size(); ++n) {
    const double swing = 2 * static_cast<double>(n) / static_cast<double>(wave.size()) - 1;
    const double hz = f0_hz * std::exp2(glide_semitones / 12 * swing);
    turns += hz / kVowelRate;
    // cos(h x) = 2 cos(x) cos((h - 1) x) - cos((h - 2) x)
    const double first = std::cos(2 * std::numbers::pi * turns);
    for (double h = 1, before = 1, now = first; h * hz < 18000; ++h) {
      wave[n] += now;
      before = std::exchange(now, 2 * first * now - before);
    }
  }
  for (const double hz : formants_hz) {
    const double radius = std::exp(-std::numbers::pi * 80 / kVowelRate);  // 80 Hz wide
    const double angle = 2 * std::numbers::pi * hz / kVowelRate;
    const Section resonator{.b0 = 1 - 2 * radius * std::cos(angle) + radius * radius,
                            .a1 = -2 * radius * std::cos(angle),
                            .a2 = radius * radius};
    SectionState state;
    filter_sections({resonator}, std::span<double>(wave), state);
  }
  const double largest = std::abs(
      *std::max_element(wave.begin(), wave.end(), [](double a, double b) { return std::abs(a) < std::abs(b); }));
  std::vector<float> samples;
  for (const double value : wave) samples.push_back(static_cast<float>(0.5 * value / largest));
  return samples;
}

// Formants below `top_hz` by linear prediction: the angles of the narrow poles, in Hz, rising.
std::vector<double> formants_of(std::span<const float> wave, std::int64_t rate_hz, double top_hz, int order) {
  const auto samples = resample(wave, rate_hz, static_cast<std::int64_t>(2 * top_hz));
  const auto n = static_cast<Eigen::Index>(samples.size());
  Eigen::VectorXd x(n);
  for (Eigen::Index k = 0; k < n; ++k) {
    const double place = static_cast<double>(k) / static_cast<double>(n);
    const double before = k > 0 ? static_cast<double>(samples[static_cast<std::size_t>(k - 1)]) : 0;
    x[k] = (static_cast<double>(samples[static_cast<std::size_t>(k)]) - 0.9 * before) *
           (0.5 - 0.5 * std::cos(2 * std::numbers::pi * place));
  }
  Eigen::VectorXd r(order + 1);
  for (Eigen::Index lag = 0; lag <= order; ++lag) r[lag] = x.head(n - lag).dot(x.tail(n - lag));
  Eigen::MatrixXd toeplitz(order, order);
  for (Eigen::Index i = 0; i < order; ++i) {
    for (Eigen::Index j = 0; j < order; ++j) toeplitz(i, j) = r[std::abs(i - j)];
  }
  const Eigen::VectorXd a = toeplitz.ldlt().solve(r.tail(order));
  Eigen::MatrixXd companion = Eigen::MatrixXd::Zero(order, order);
  companion.row(0) = a.transpose();
  companion.bottomLeftCorner(order - 1, order - 1).setIdentity();
  std::vector<double> formants;
  for (const auto& pole : companion.eigenvalues()) {
    const double hz = std::arg(pole) * top_hz / std::numbers::pi;
    const double width_hz = -std::log(std::abs(pole)) * 2 * top_hz / std::numbers::pi;
    if (hz > 150 && width_hz < 400) formants.push_back(hz);
  }
  std::sort(formants.begin(), formants.end());
  return formants;
}

// The same vowel spoken with other formants is what the shift should give. Linear prediction hears both, so that what
// it makes of few harmonics (several per cent for high voices) cancels.
TEST(FormantShiftEffect, MovesFormantsByTheRatio) {
  const std::vector<double> formants_hz{700, 1220, 2600};
  for (const double f0_hz : {90.0, 120.0, 150.0, 180.0}) {
    const auto in = vowel(f0_hz, formants_hz, 4);
    for (const double ratio : {0.8, 0.9, 1.1, 1.25}) {
      SCOPED_TRACE(::testing::Message() << f0_hz << " Hz, ratio " << ratio);
      std::vector<double> moved_hz;
      for (const double hz : formants_hz) moved_hz.push_back(hz * ratio);
      const auto wanted = formants_of(middle(vowel(f0_hz, moved_hz, 4)), kVowelRate, 3600 * ratio, 8);
      const auto out = with_effect("formant-shift\nratio = " + std::to_string(ratio), in, kVowelRate);
      ASSERT_EQ(out.size(), in.size());
      const auto got = formants_of(middle(out), kVowelRate, 3600 * ratio, 8);
      ASSERT_GE(wanted.size(), 3u);
      ASSERT_GE(got.size(), 3u);
      // From 180 Hz on the lowest formant is narrower than half the distance of the harmonics that show it.
      const double tolerance = f0_hz < 180 ? 0.03 : 0.06;
      for (std::size_t k = 0; k < 3; ++k) EXPECT_NEAR(got[k] / wanted[k], 1, tolerance) << formants_hz[k];
    }
  }
}

TEST(FormantShiftEffect, LeavesThePitch) {
  for (const double f0_hz : {90.0, 180.0, 400.0}) {
    const auto in = vowel(f0_hz, {700, 1220, 2600}, 0);
    for (const double ratio : {0.7, 1.4}) {
      const auto out = with_effect("formant-shift\nratio = " + std::to_string(ratio), in, kVowelRate);
      for (const int harmonic : {1, 4, 7}) {
        EXPECT_NEAR(cents(frequency_near(middle(out), harmonic * f0_hz, kVowelRate) / (harmonic * f0_hz)), 0, 1)
            << f0_hz << " x " << harmonic;
      }
    }
  }
}

TEST(FormantShiftEffect, BreathGetsAnotherColourToo) {
  Section resonator{.b0 = 0.02, .a1 = -1.9, .a2 = 0.95};
  auto in = testing::noise(0.3, 1.5);
  SectionState state;
  filter_sections({resonator}, std::span<float>(in), state);
  const auto before = formants_of(middle(in), kRate, 6000, 8),
             after = formants_of(middle(with_effect("formant-shift\nratio = 1.2", in)), kRate, 7200, 8);
  ASSERT_FALSE(before.empty());
  ASSERT_FALSE(after.empty());
  EXPECT_NEAR(after[0] / before[0], 1.2, 0.06);
}

TEST(ResampleEffect, KeepsWhatTheLowRateHasAndNothingElse) {
  const auto kept = with_effect("resample\nrate_hz = 8000", sine(3000, 0.5, 1));
  EXPECT_NEAR(db(amplitude_at(middle(kept), 3000) / 0.5), 0, 0.01);
  auto difference = sine(3000, 0.5, 1);
  for (std::size_t n = 0; n < kept.size(); ++n) difference[n] -= kept[n];
  EXPECT_LT(db(rms(middle(difference))), -80);
  EXPECT_LT(db(peak(middle(with_effect("resample\nrate_hz = 8000", sine(5000, 0.5, 1))))), -100);
}

TEST(Mp3Effect, ComesBackInPlaceAndTheRateIsItsQuality) {
  auto in = sine(440, 0.3, 1.5);
  const auto burst = testing::noise(0.2, 0.1);
  std::copy(burst.begin(), burst.end(), in.begin() + kRate / 2);
  const auto error_db = [&](int kbps, std::int64_t rate_hz) {
    const auto samples = resample(in, kRate, rate_hz);
    auto out = with_effect("mp3\nbitrate_kbps = " + std::to_string(kbps), samples, rate_hz);
    EXPECT_EQ(out.size(), samples.size());
    for (std::size_t n = 0; n < out.size(); ++n) out[n] -= samples[n];
    return db(rms(out) / rms(samples));
  };
  for (const std::int64_t rate_hz : {44100, 40000, 32000, 16000}) EXPECT_LT(error_db(160, rate_hz), -15) << rate_hz;
  EXPECT_LT(error_db(320, kRate), error_db(96, kRate) - 5);
  // Of frames too small for the encoder's tag the delay is known all the same.
  EXPECT_LT(error_db(32, kRate), -5);
  EXPECT_GT(error_db(32, kRate), -40) << "nothing was lost";
}

}  // namespace
}  // namespace melisma
