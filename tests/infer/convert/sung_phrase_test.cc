// The phrase sung by no one: its melody is heard by the pitch methods, its vowels and consonants are there.
#include "infer/convert/sung_phrase.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "infer/features/content.h"
#include "infer/features/pitch.h"

namespace melisma {
namespace {

TEST(SungPhrase, IsTheSameEveryTimeAndFitsFullScale) {
  const auto phrase = sung_phrase();
  EXPECT_EQ(phrase.samples, sung_phrase().samples);
  EXPECT_EQ(phrase.n_frames(), 144000);
  const auto [low, high] = std::minmax_element(phrase.samples.begin(), phrase.samples.end());
  EXPECT_NEAR(std::max(-*low, *high), 0.7, 1e-6);
}

TEST(SungPhrase, ItsMelodyIsHeardAsItIsWritten) {
  const auto f0 = extract_pitch(sung_phrase(), PitchConfig{});
  const double note = 174.61;
  // Early in each note, where the glide has ended and the vibrato has not begun.
  for (const auto& [seconds, semitones] : {std::pair(0.35, 0), {1.0, 2}, {1.75, 7}, {2.45, 10}, {3.1, 5}, {3.85, 0}}) {
    const double hz = f0[static_cast<std::size_t>(100 * seconds)];
    ASSERT_GT(hz, 0) << seconds;
    EXPECT_NEAR(1200 * std::log2(hz / (note * std::exp2(semitones / 12.0))), 0, 20) << seconds << " s, in cents";
  }
  const auto summary = summarise_pitch(f0);
  EXPECT_GT(summary.voiced_share, 0.6);
  EXPECT_LT(summary.voiced_share, 0.95) << "it has consonants and silence";
}

TEST(SungPhrase, ItsVowelsDifferInWhatIsSaid) {
  const ContentConfig config;
  const auto content = extract_content(sung_phrase(), config);
  const auto distance = [&](double one, double other) {
    const auto row = [&](double seconds) {
      return content.values.begin() + static_cast<std::ptrdiff_t>(100 * seconds) * content.width;
    };
    double sum = 0;
    for (std::int64_t i = 0; i < content.width; ++i) sum += std::pow(*(row(one) + i) - *(row(other) + i), 2);
    return std::sqrt(sum);
  };
  const double within = distance(0.40, 0.55);   // of one "a"
  EXPECT_GT(distance(0.45, 1.1), 2 * within);   // a and e
  EXPECT_GT(distance(1.1, 1.9), 2 * within);    // e and i
  EXPECT_GT(distance(2.6, 3.2), 1.2 * within);  // o and u
}

}  // namespace
}  // namespace melisma
