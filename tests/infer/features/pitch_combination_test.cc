#include "infer/features/pitch_combination.h"

#include <gtest/gtest.h>

#include <cmath>

#include "infer/features/pitch.h"
#include "tests/support/golden.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using testing::near_all;

std::string problem_of(const std::string& method) {
  try {
    (void)parse_pitch_recipe(method);
  } catch (const Error& error) {
    return error.message();
  }
  return "accepted";
}

// Three curves of four frames: all voiced, two of three, one of three, none.
const std::vector<std::vector<float>> kCurves{{100, 100, 0, 0}, {110, 0, 0, 0}, {400, 200, 300, 0}};

std::vector<float> combined(std::string_view how, const std::vector<double>& weights = {1, 1, 1}) {
  return combine_pitch(how, kCurves, weights);
}

TEST(PitchCombination, TakesThePitchOfTheVoicedMembersByItsRule) {
  const auto mean3 = std::cbrt(100.0 * 110 * 400), mean2 = std::sqrt(100.0 * 200);
  EXPECT_TRUE(near_all(std::vector<double>{110, mean2, 0, 0}, combined("median"), 1e-3));
  EXPECT_TRUE(near_all(std::vector<double>{mean3, mean2, 0, 0}, combined("mean"), 1e-3));
  EXPECT_TRUE(near_all(std::vector<double>{100, 100, 0, 0}, combined("min"), 1e-3));
  EXPECT_TRUE(near_all(std::vector<double>{400, 200, 0, 0}, combined("max"), 1e-3));
}

TEST(PitchCombination, WeightsAreVotesAndShares) {
  // The third member has half of all weight: alone it is a tie, and a tie counts as voiced.
  const auto first = std::exp((std::log(100.0) + std::log(110.0) + 2 * std::log(400.0)) / 4);
  const auto second = std::exp((std::log(100.0) + 2 * std::log(200.0)) / 3);
  EXPECT_TRUE(near_all(std::vector<double>{first, second, 300, 0}, combined("weighted", {1, 1, 2}), 1e-3));
  EXPECT_TRUE(near_all(std::vector<double>{0}, std::vector<float>{combined("weighted", {1, 1, 1.9})[2]}, 0));
}

TEST(PitchCombination, ATieOfTwoIsVoiced) {
  const std::vector<std::vector<float>> two{{0, 220}, {110, 0}};
  EXPECT_TRUE(near_all(std::vector<double>{110, 220}, combine_pitch("median", two, std::vector<double>{1, 1}), 1e-3));
}

TEST(PitchRecipe, IsReadAndWrittenBack) {
  const auto single = parse_pitch_recipe(" yin ");
  EXPECT_EQ(single, (PitchRecipe{"", {{"yin"}}}));
  EXPECT_EQ(single.text(), "yin");
  const auto median = parse_pitch_recipe("median( rmvpe,crepe-tiny , pyin)");
  EXPECT_EQ(median, (PitchRecipe{"median", {{"rmvpe"}, {"crepe-tiny"}, {"pyin"}}}));
  EXPECT_EQ(median.text(), "median(rmvpe, crepe-tiny, pyin)");
  const auto weighted = parse_pitch_recipe("weighted(rmvpe:2.5, pyin)");
  EXPECT_EQ(weighted, (PitchRecipe{"weighted", {{"rmvpe", 2.5}, {"pyin", 1}}}));
  EXPECT_EQ(weighted.text(), "weighted(rmvpe:2.5, pyin:1)");
}

TEST(PitchRecipe, SaysWhatIsWrong) {
  EXPECT_NE(problem_of("median(rmpve, pyin)").find("unknown pitch method 'rmpve'; did you mean 'rmvpe'?"),
            std::string::npos);
  EXPECT_NE(problem_of("medium(rmvpe, pyin)").find("did you mean 'median'"), std::string::npos);
  EXPECT_NE(problem_of("median(rmvpe, pyin").find("lacks its closing ')'"), std::string::npos);
  EXPECT_NE(problem_of("median(rmvpe)").find("combines one method"), std::string::npos);
  EXPECT_NE(problem_of("median(yin, yin)").find("has 'yin' twice"), std::string::npos);
  EXPECT_NE(problem_of("median(yin:2, pyin)").find("'2' is no weight"), std::string::npos);
  EXPECT_NE(problem_of("weighted(yin:-1, pyin)").find("'-1' is no weight"), std::string::npos);
  EXPECT_NE(problem_of("weighted(yin:x, pyin)").find("'x' is no weight"), std::string::npos);
  EXPECT_NE(problem_of("median(, yin)").find("unknown pitch method ''"), std::string::npos);
  EXPECT_EQ(problem_of("max(yin, pyin)"), "accepted");
}

TEST(Pitch, ACombinationEqualsItsMembersCombined) {
  std::vector<float> wave(16000);
  for (std::size_t i = 0; i < wave.size(); ++i) wave[i] = 0.3F * std::sin(0.08F * static_cast<float>(i));
  std::fill(wave.begin() + 6000, wave.begin() + 9000, 0.0F);
  const std::vector<std::vector<float>> members{extract_pitch(wave, {.method = "pyin"}, 1),
                                                extract_pitch(wave, {.method = "yin"}, 1)};
  const auto expected = combine_pitch("max", members, std::vector<double>{1, 1});
  for (const int threads : {1, 2, 5}) EXPECT_EQ(extract_pitch(wave, {.method = "max(pyin, yin)"}, threads), expected);
  EXPECT_EQ(key_of(PitchConfig{.method = "max(pyin,yin)"}).parameters,
            R"json({"method":"max(pyin, yin)","fmin_hz":50.0,"fmax_hz":1100.0,"revision":1})json");
}

TEST(Pitch, AProblemOfOneMemberIsTheProblemOfAll) {
  EXPECT_THROW(
      (void)extract_pitch(std::vector<float>(16000), {.method = "mean(yin, pyin)", .fmin_hz = 900, .fmax_hz = 90}, 2),
      Error);
}

}  // namespace
}  // namespace melisma
