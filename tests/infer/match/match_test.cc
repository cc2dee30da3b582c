// Reference matching apart from its reference numbers: threads, blocks, and
// what cannot be matched.
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "infer/match/fir.h"
#include "infer/match/match.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"

namespace melisma {
namespace {
using testing::near_all;
using testing::refusal_of;

// Noise whose side is quieter than its mid.
StereoSignal noise(std::size_t n, std::uint32_t seed, double amplitude, std::int64_t rate_hz = 44100) {
  testing::Lcg random(seed);
  StereoSignal signal{std::vector<double>(n), std::vector<double>(n), rate_hz};
  double low = 0;
  for (std::size_t i = 0; i < n; ++i) {
    low += 0.3 * (random.next() - low);
    const double mid = amplitude * low, side = 0.3 * amplitude * random.next();
    signal.left[i] = mid + side;
    signal.right[i] = mid - side;
  }
  return signal;
}

TEST(Matching, DoesNotDependOnTheNumberOfThreads) {
  const auto target = noise(1200000, 1, 0.2), reference = noise(900000, 2, 1.9);
  const auto matched = [&](int threads) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    auto song = match_to(target, reference_profile(reference, {}), {});
    at::set_num_threads(before);
    return song;
  };
  const auto one = matched(1), three = matched(3);
  ASSERT_FALSE(one.limiter->gain.empty());
  EXPECT_TRUE(one.filtered.left == three.filtered.left);  // a million numbers: not to be printed
  EXPECT_TRUE(one.filtered.right == three.filtered.right);
  EXPECT_EQ(one.level, three.level);
  EXPECT_TRUE(one.limiter->gain == three.limiter->gain);
}

TEST(Matching, RenderedInBlocksIsTheSame) {
  const auto song = match_to(noise(100000, 3, 0.1), reference_profile(noise(100000, 4, 2.2), {}), {});
  ASSERT_FALSE(song.limiter->gain.empty());
  std::vector<double> left(100000), right(100000), part_left(777), part_right(777);
  song.render(MatchFinish::limited, 0, left, right);
  song.render(MatchFinish::limited, 51234, part_left, part_right);
  EXPECT_EQ(part_left, std::vector<double>(left.begin() + 51234, left.begin() + 51234 + 777));
  EXPECT_EQ(part_right, std::vector<double>(right.begin() + 51234, right.begin() + 51234 + 777));
}

// Lengths around a block's yield and a wave's, against the sum written out.
TEST(Matching, BlocksConvolveAsTheSumSays) {
  testing::Lcg random(5);
  std::vector<double> mid_taps(64), side_taps(64);
  for (auto* taps : {&mid_taps, &side_taps}) {
    for (auto& tap : *taps) tap = random.next();
  }
  for (const std::size_t n : {10u, 193u, 194u, 193u * 16u, 193u * 16u + 5u, 193u * 32u + 70u}) {
    const auto signal = noise(n, 6, 1);
    auto filtered = signal;
    convolve_mid_side(filtered, mid_taps, side_taps);
    std::vector<double> left(n), right(n);
    for (std::size_t i = 0; i < n; ++i) {
      double mid = 0, side = 0;
      for (std::size_t t = 0; t < 64; ++t) {
        const auto from = static_cast<std::ptrdiff_t>(i + 31) - static_cast<std::ptrdiff_t>(t);
        if (from < 0 || from >= static_cast<std::ptrdiff_t>(n)) continue;
        const double l = signal.left[static_cast<std::size_t>(from)], r = signal.right[static_cast<std::size_t>(from)];
        mid += mid_taps[t] * (l + r) / 2;
        side += side_taps[t] * (l - r) / 2;
      }
      left[i] = mid + side, right[i] = mid - side;
    }
    EXPECT_TRUE(near_all(left, filtered.left, 1e-12)) << n;
    EXPECT_TRUE(near_all(right, filtered.right, 1e-12)) << n;
  }
}

TEST(Matching, PiecesOfOneLevelAreAllLoud) {
  const auto levels = levels_of({0.1, 0.1, 0.1});
  EXPECT_NEAR(levels.match_rms, 0.1, 1e-15);
  EXPECT_FALSE(levels.loudest.empty());
}

TEST(Matching, ATenthOfASecondIsEnough) {
  const auto song = match_to(noise(4410, 7, 0.1), reference_profile(noise(4410, 8, 0.5), {}), {});
  EXPECT_EQ(song.filtered.n_frames(), 4410);
  EXPECT_EQ(song.record.sizes.divisions, 1);
}

TEST(Matching, SaysWhatCannotBeMatched) {
  const auto fine = noise(50000, 9, 0.5);
  const auto refused = [](const StereoSignal& signal) {
    return refusal_of(ErrorKind::data, [&] { (void)reference_profile(signal, {}); });
  };
  EXPECT_EQ(refused(noise(4095, 9, 0.5)), "4095 frames, expected 4096 or more; take a longer part");
  EXPECT_EQ(refused(noise(50000, 9, 0.5, 48000)), "recorded at 48000 Hz, expected 44100 Hz; resample it first");
  EXPECT_EQ(refused(noise(50000, 9, 0)), "holds only silence: there is no level to match; take another recording");
  const auto profile = reference_profile(fine, {});
  EXPECT_EQ(refusal_of(ErrorKind::data, [&] { (void)match_to(noise(50000, 9, 0), profile, {}); }),
            "holds only silence: there is no level to match; take another recording");
  EXPECT_EQ(refusal_of(ErrorKind::config, [&] { (void)match_to(fine, profile, {.fft_size = 2048}); }),
            "the reference was analysed at 44100 Hz with spectra of 4096 samples, "
            "expected 44100 Hz and 2048");
}

}  // namespace
}  // namespace melisma
