// The improved mode on signals of which the result is known: each side of the sound by itself, true peak, loudness.
#include "infer/match/improve.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "data/audio/loudness.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {
using testing::refusal_of;

struct Noise {
  double amplitude = 0.1, colour = 0.3, side = 0.3;  // one-pole low-pass of the mid; side against mid
  std::int64_t rate_hz = 44100;
};

StereoSignal noise(double seconds, std::uint32_t seed, const Noise& how = {}) {
  const auto n = static_cast<std::size_t>(std::lround(seconds * static_cast<double>(how.rate_hz)));
  testing::Lcg random(seed);
  StereoSignal signal{std::vector<double>(n), std::vector<double>(n), how.rate_hz};
  double mid = 0, side = 0;
  for (std::size_t i = 0; i < n; ++i) {
    mid += how.colour * (random.next() - mid);
    side += how.colour * (random.next() - side);
    signal.left[i] = how.amplitude * (mid + how.side * side);
    signal.right[i] = how.amplitude * (mid - how.side * side);
  }
  return signal;
}

StereoSignal rendered(const MatchedSong& song, MatchFinish finish = MatchFinish::limited) {
  auto result = song.filtered;
  song.render(finish, 0, result.left, result.right);
  return result;
}

MatchGoal goal_for(const StereoSignal& reference, const StereoSignal& target) {
  const auto profile = profile_with_loudness(reference, at_rate({}, reference.sample_rate_hz));
  const std::vector<WeightedProfile> one{{profile, 1}};
  const auto config = at_rate({}, target.sample_rate_hz);
  return goal_of(one, ReferenceRule::weighted, config.sample_rate_hz, config.fft_size);
}

ImprovedMatch improved(const StereoSignal& target, const StereoSignal& reference, const ImprovedConfig& how = {}) {
  return improve(target, goal_for(reference, target), at_rate({}, target.sample_rate_hz), how);
}

// As the written file is measured: by libebur128, of floats.
Loudness measured(const StereoSignal& signal) {
  Waveform wave{{}, 2, signal.sample_rate_hz};
  for (const auto* channel : {&signal.left, &signal.right}) {
    wave.samples.insert(wave.samples.end(), channel->begin(), channel->end());
  }
  return measure_loudness(wave);
}

struct BandLevels {
  double total_db, width_db;  // mid and side together; side against mid
};

// Of the band around a frequency, an octave wide.
BandLevels band_of(const StereoSignal& signal, double hz) {
  const auto config = at_rate({}, signal.sample_rate_hz);
  const PieceMeter meter(signal, config);
  const auto spectra = loud_spectra(signal, meter.sizes(), meter.levels(1, false).loudest, config.fft_size);
  double mid = 0, side = 0;
  for (std::size_t k = 1; k < spectra.mid.size(); ++k) {
    const double at =
        static_cast<double>(k) * static_cast<double>(signal.sample_rate_hz) / static_cast<double>(config.fft_size);
    if (at < hz / std::numbers::sqrt2 || at > hz * std::numbers::sqrt2) continue;
    mid += spectra.mid[k] * spectra.mid[k];
    side += spectra.side[k] * spectra.side[k];
  }
  return {10 * std::log10(mid + side), 10 * std::log10(side / mid)};
}

TEST(ImprovedMatching, MeetsLoudnessAndTruePeakAfterTheLimiter) {
  auto target = noise(8, 1, {.amplitude = 0.05});
  for (std::size_t i = 0; i < target.left.size(); i += 3001) target.left[i] *= 8;
  const auto reference = noise(6, 2, {.amplitude = 0.35, .colour = 0.8});
  for (const double ceiling : {-1.0, -3.0}) {
    const auto made = improved(target, reference, {.ceiling_dbtp = ceiling});
    const auto found = measured(rendered(made.song));
    EXPECT_TRUE(made.record.is_loudness_met);
    EXPECT_NEAR(found.integrated_lufs, measured(reference).integrated_lufs, 0.2);
    EXPECT_LE(found.true_peak_db, ceiling + 0.01);
    EXPECT_GE(found.true_peak_db, ceiling - 0.11);
    EXPECT_GT(made.record.limited_share, 0.01);
    EXPECT_GT(made.record.most_limited_db, 1);
    EXPECT_NEAR(made.record.after.integrated_lufs, found.integrated_lufs, 0.01);
    const auto normalised = measured(rendered(made.song, MatchFinish::normalised));
    EXPECT_NEAR(normalised.true_peak_db, ceiling, 0.01);
  }
}

TEST(ImprovedMatching, SaysWhereTheLimiterIsNotDrivenFurther) {
  const auto target = noise(5, 1, {.amplitude = 0.05}), reference = noise(5, 2, {.amplitude = 0.7, .colour = 0.8});
  const auto made = improved(target, reference, {.ceiling_dbtp = -12, .max_limited_db = 3});
  EXPECT_FALSE(made.record.is_loudness_met);
  EXPECT_LT(made.record.after.integrated_lufs, made.record.wanted_lufs - 1);
  EXPECT_LE(made.record.after.true_peak_db, -12);
}

TEST(ImprovedMatching, AllOfItGivesTheReferencesSpectrumAndWidth) {
  const auto target = noise(8, 3, {.amplitude = 0.1, .colour = 0.2, .side = 0.1});
  const auto reference = noise(8, 4, {.amplitude = 0.2, .colour = 0.6, .side = 0.4});
  const auto result = rendered(improved(target, reference).song);
  for (const double hz : {125.0, 500.0, 2000.0, 8000.0}) {
    EXPECT_NEAR(band_of(result, hz).total_db, band_of(reference, hz).total_db, 0.5) << hz;
    EXPECT_NEAR(band_of(result, hz).width_db, band_of(reference, hz).width_db, 0.5) << hz;
  }
}

TEST(ImprovedMatching, WidthAloneLeavesTimbreAndLoudness) {
  const auto target = noise(8, 3, {.amplitude = 0.1, .colour = 0.2, .side = 0.1});
  const auto reference = noise(8, 4, {.amplitude = 0.2, .colour = 0.6, .side = 0.4});
  const auto result = rendered(improved(target, reference, {.spectrum = 0, .loudness = 0}).song);
  for (const double hz : {125.0, 500.0, 2000.0, 8000.0}) {
    EXPECT_NEAR(band_of(result, hz).width_db, band_of(reference, hz).width_db, 0.5) << hz;
    EXPECT_NEAR(band_of(result, hz).total_db, band_of(target, hz).total_db, 0.3) << hz;
  }
  EXPECT_NEAR(measured(result).integrated_lufs, measured(target).integrated_lufs, 0.2);
}

TEST(ImprovedMatching, SpectrumAloneLeavesWidthAndLoudness) {
  const auto target = noise(8, 3, {.amplitude = 0.1, .colour = 0.2, .side = 0.1});
  const auto reference = noise(8, 4, {.amplitude = 0.2, .colour = 0.6, .side = 0.4});
  const auto result = rendered(improved(target, reference, {.width = 0, .loudness = 0}).song);
  const double level = band_of(reference, 1000).total_db - band_of(result, 1000).total_db;
  for (const double hz : {125.0, 500.0, 2000.0, 8000.0}) {
    EXPECT_NEAR(band_of(result, hz).width_db, band_of(target, hz).width_db, 0.2) << hz;
    EXPECT_NEAR(band_of(result, hz).total_db + level, band_of(reference, hz).total_db, 0.5) << hz;
  }
  EXPECT_NEAR(measured(result).integrated_lufs, measured(target).integrated_lufs, 0.2);
}

TEST(ImprovedMatching, HalfTheSpectrumIsHalfTheWayInDecibels) {
  const auto target = noise(8, 3, {.colour = 0.2}), reference = noise(8, 4, {.colour = 0.6});
  const auto goal = goal_for(reference, target);
  const auto config = at_rate({}, 44100);
  const auto all = improve(target, goal, config, {}).song.record.mid.smoothed;
  const auto half = improve(target, goal, config, {.spectrum = 0.5, .width = 0.5}).song.record.mid.smoothed;
  for (std::size_t k = 5; k < all.size(); k += 100) EXPECT_NEAR(half[k] * half[k], all[k], 1e-3 * all[k]) << k;
}

// Four seconds loud, four quiet.
StereoSignal alternating(std::uint32_t seed, double quiet_db) {
  auto signal = noise(40, seed);
  const double factor = std::pow(10, quiet_db / 20);
  for (std::size_t i = 0; i < signal.left.size(); ++i) {
    if (i / (4 * 44100) % 2 == 1) signal.left[i] *= factor, signal.right[i] *= factor;
  }
  return signal;
}

double level_between(const StereoSignal& signal, double from_s, double to_s) {
  double sum = 0;
  const auto first = static_cast<std::size_t>(44100 * from_s), last = static_cast<std::size_t>(44100 * to_s);
  for (auto i = first; i < last; ++i) sum += signal.left[i] * signal.left[i] + signal.right[i] * signal.right[i];
  return 10 * std::log10(sum / static_cast<double>(last - first));
}

TEST(ImprovedMatching, DynamicsAloneMoveLoudAndQuietPartsAsFarApart) {
  const auto target = alternating(5, -15), reference = alternating(6, -6);
  const ImprovedConfig only{.spectrum = 0, .width = 0, .dynamics = 1, .loudness = 0};
  const auto made = improved(target, reference, only);
  const auto result = rendered(made.song);
  EXPECT_NEAR(level_between(result, 17, 19) - level_between(result, 21, 23), 6, 0.5);
  EXPECT_NEAR(measured(result).integrated_lufs, measured(target).integrated_lufs, 0.2);
  EXPECT_GT(made.record.most_dynamics_db, 2);
  auto half = only;
  half.dynamics = 0.5;
  const auto between = rendered(improved(target, reference, half).song);
  EXPECT_NEAR(level_between(between, 17, 19) - level_between(between, 21, 23), 10.5, 0.7);
  EXPECT_EQ(spread_gain_db(-60, {-10, 0}, {-5, 0}), 0);
  EXPECT_EQ(spread_gain_db(-60, {-5, 0}, {-10, 0}), -5);
  EXPECT_EQ(spread_gain_db(-5, {-10, 0}, {-4, 0}), 3);
}

TEST(ImprovedMatching, NothingChangesOutsideTheBand) {
  const auto target = noise(8, 3, {.colour = 0.1}), reference = noise(8, 4, {.colour = 0.9, .side = 0.8});
  const ImprovedConfig banded{.loudness = 0, .low_hz = 300, .high_hz = 3000};
  const auto& record = improved(target, reference, banded).song.record;
  const auto all = improved(target, reference, {.loudness = 0}).song.record;
  const auto bin = [](double hz) { return static_cast<std::size_t>(hz * 4096 / 44100); };
  for (const double hz : {20.0, 100.0, 299.0, 3010.0, 10000.0, 22000.0}) {
    EXPECT_NEAR(record.mid.smoothed[bin(hz)], 1, 1e-12) << hz;
    EXPECT_NEAR(record.side.smoothed[bin(hz)], 1, 1e-12) << hz;
  }
  EXPECT_NEAR(record.side.smoothed[bin(1000)], all.side.smoothed[bin(1000)], 1e-12);
  EXPECT_GT(std::abs(20 * std::log10(all.side.smoothed[bin(1000)])), 3);
}

// A mono recording with dither: Matchering raises the noise to the reference's side.
TEST(ImprovedMatching, DoesNotLiftTheNoiseOfANearlyMonoSide) {
  auto target = noise(8, 7, {.side = 0});
  testing::Lcg random(8);
  for (std::size_t i = 0; i < target.left.size(); ++i) {
    target.left[i] += (random.next() + random.next()) / 65536;
    target.right[i] += (random.next() + random.next()) / 65536;
  }
  const auto reference = noise(8, 9, {.side = 0.7});
  const auto made = improved(target, reference);
  const auto exact = rendered(match_to(target, reference_profile(reference, {}), {}));
  for (const double hz : {250.0, 1000.0, 4000.0, 12000.0}) {
    EXPECT_NEAR(band_of(rendered(made.song), hz).width_db, band_of(target, hz).width_db, 1) << hz;
    EXPECT_GT(band_of(exact, hz).width_db, band_of(target, hz).width_db + 15) << hz;
  }
  EXPECT_GT(made.record.n_side_held, 1000);
}

TEST(ImprovedMatching, AMixOfNoneIsTheTarget) {
  const auto target = noise(4, 3, {.colour = 0.1}), reference = noise(4, 4, {.amplitude = 1, .colour = 0.9});
  const auto made = improved(target, reference, {.dynamics = 1, .mix = 0});
  EXPECT_TRUE(testing::near_all(target.left, rendered(made.song).left, 1e-6));
  const auto halfway = improved(target, reference, {.mix = 0.5}).record;
  EXPECT_NEAR(halfway.wanted_lufs, (measured(target).integrated_lufs + measured(reference).integrated_lufs) / 2, 0.01);
}

TEST(ImprovedMatching, WorksAtTheTargetsOwnRate) {
  const auto target = noise(6, 3, {.colour = 0.2, .side = 0.2, .rate_hz = 96000});
  const auto reference = noise(6, 4, {.amplitude = 0.3, .colour = 0.5, .side = 0.4});
  const auto result = rendered(improved(target, reference).song);
  EXPECT_EQ(result.sample_rate_hz, 96000);
  for (const double hz : {125.0, 500.0, 2000.0, 8000.0}) {
    EXPECT_NEAR(band_of(result, hz).total_db - band_of(result, 1000).total_db,
                band_of(reference, hz).total_db - band_of(reference, 1000).total_db, 0.7)
        << hz;
    EXPECT_NEAR(band_of(result, hz).width_db, band_of(reference, hz).width_db, 0.7) << hz;
  }
  // Above the reference's half rate the filter goes on as it was.
  const auto& gains = improved(target, reference).song.record.mid.smoothed;
  EXPECT_EQ(gains[2000], gains.back());
  EXPECT_NEAR(measured(result).integrated_lufs, measured(reference).integrated_lufs, 0.2);
}

TEST(ImprovedMatching, WhatIsTooShortForLoudnessGetsTheLevelOfItsPieces) {
  const auto target = noise(0.2, 3), reference = noise(0.3, 4, {.amplitude = 0.2});
  const auto made = improved(target, reference);
  EXPECT_FALSE(made.record.has_loudness);
  EXPECT_NEAR(level_between(rendered(made.song), 0, 0.2), level_between(reference, 0, 0.3), 1);
}

TEST(ImprovedMatching, DoesNotDependOnTheNumberOfThreads) {
  const auto target = noise(5, 1), reference = noise(5, 2, {.amplitude = 2, .colour = 0.7});
  const auto matched = [&](int threads) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    auto made = improved(target, reference, {.dynamics = 0.5});
    at::set_num_threads(before);
    return rendered(made.song);
  };
  EXPECT_TRUE(matched(1).left == matched(3).left);
}

TEST(ImprovedMatching, SaysWhatCannotBeMatched) {
  const auto reference = noise(2, 4);
  const auto refused = [&](const StereoSignal& target) {
    return refusal_of(ErrorKind::data, [&] { (void)improved(target, reference); });
  };
  EXPECT_EQ(refused(noise(2, 3, {.amplitude = 0})),
            "holds only silence: there is no level to match; take another recording");
  EXPECT_EQ(refused(noise(0.05, 3)), "2205 frames, expected 4096 or more; take a longer part");
  EXPECT_EQ(refusal_of(ErrorKind::config, [&] { require_fitting({.fft_size = 3000}); }),
            "fft_size 3000 is no power of two; take 2048 or 4096");
  EXPECT_EQ(refusal_of(ErrorKind::config, [&] { require_fitting({.max_piece_s = 1, .fft_size = 32768}); }),
            "pieces of up to 1 s at 44100 Hz may be shorter than a spectrum of 32768 samples; raise max_piece_s to "
            "1.49 or lower fft_size");
}

TEST(MatchGoals, WeightsCountAtOneLevel) {
  const auto quiet = noise(5, 1, {.amplitude = 0.05, .colour = 0.2}), loud = noise(9, 2, {.colour = 0.8});
  const std::vector<WeightedProfile> both{{profile_with_loudness(quiet, {}), 3}, {profile_with_loudness(loud, {}), 1}};
  const auto goal = goal_of(both, ReferenceRule::weighted, 44100, 4096);
  EXPECT_NEAR(goal.loudness.integrated_lufs,
              0.75 * measured(quiet).integrated_lufs + 0.25 * measured(loud).integrated_lufs, 0.01);
  const auto of = [](const WeightedProfile& part, std::size_t k) {
    return part.profile.spectra.mid[k] / part.profile.levels.match_rms;
  };
  for (const std::size_t k : {10u, 100u, 1000u}) {
    EXPECT_NEAR(goal.spectra.mid[k] / goal.match_rms, 0.75 * of(both[0], k) + 0.25 * of(both[1], k), 1e-12);
  }
  auto twice = both;
  for (auto& [profile, weight] : twice) weight *= 2;
  EXPECT_TRUE(
      testing::near_all(goal.spectra.side, goal_of(twice, ReferenceRule::weighted, 44100, 4096).spectra.side, 1e-15));
}

TEST(MatchGoals, ConcatenatedIsOneRecordingOfAllLoudPieces) {
  const auto first = noise(4096.0 * 60 / 44100, 1, {.amplitude = 0.3, .colour = 0.2});
  const auto second = noise(4096.0 * 90 / 44100, 2, {.amplitude = 0.7, .colour = 0.8});
  const std::vector<MatchProfile> both{profile_with_loudness(first, {}), profile_with_loudness(second, {})};
  auto all = first;
  all.left.insert(all.left.end(), second.left.begin(), second.left.end());
  all.right.insert(all.right.end(), second.right.begin(), second.right.end());
  const PieceSizes one{1, all.n_frames()};
  const auto spectra = loud_spectra(all, one, {0}, 4096);
  const auto joined = concatenated(both);
  const double raw = joined.final_amplitude;
  auto mid = joined.spectra.mid;
  for (auto& magnitude : mid) magnitude *= raw;
  EXPECT_TRUE(testing::near_all(spectra.mid, mid, 1e-12));
  double energy = 0, peak = 0;
  for (std::size_t i = 0; i < all.left.size(); ++i) {
    energy += std::pow((all.left[i] + all.right[i]) / 2, 2);
    peak = std::max({peak, std::abs(all.left[i]), std::abs(all.right[i])});
  }
  EXPECT_NEAR(joined.levels.match_rms * raw, std::sqrt(energy / static_cast<double>(all.left.size())), 1e-10);
  EXPECT_NEAR(raw, std::max(peak / MatchConfig{}.threshold, 1e-6), 1e-12);
  EXPECT_NEAR(joined.loudness.integrated_lufs, measured(all).integrated_lufs, 0.3);
  auto other = both;
  other[1].fft_size = 2048;
  EXPECT_NE(refusal_of(ErrorKind::config, [&] { (void)concatenated(other); }), "no error");
}

TEST(SongLoudness, QuantilesAreOfWhatIsNotFarBelow) {
  const auto quantiles = level_quantiles({-20, -18, -16, -14, -12, -80, -100}, -16);
  ASSERT_EQ(std::ssize(quantiles), kLevelQuantiles);
  EXPECT_NEAR(quantiles.front(), -3.6, 1e-12);
  EXPECT_NEAR(quantiles[9], 0, 1e-12);
  EXPECT_NEAR(quantiles.back(), 3.6, 1e-12);
  const auto tone = noise(3, 1);
  const auto levels = levels_over_time(tone);
  EXPECT_EQ(std::ssize(levels), 30);
  EXPECT_NEAR(levels[15], measured(tone).integrated_lufs, 1);
}

}  // namespace
}  // namespace melisma
