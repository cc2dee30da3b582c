// The limiter's stages and the smoothing of spectra on their own, against scipy and statsmodels (golden/matching).
#include <gtest/gtest.h>

#include <cmath>

#include "infer/match/fir.h"
#include "infer/match/match_limiter.h"
#include "infer/match/smoothing.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {
using testing::near_all;

class GoldenMatchUnits : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!exists(testing::golden_folder("matching"))) GTEST_SKIP() << "no golden/matching";
    numbers_ = testing::load_json(testing::golden_folder("matching") / "units.json");
    tensors_ = testing::GoldenFile::load(testing::golden_folder("matching") / "units.safetensors");
  }
  nlohmann::json numbers_;
  testing::GoldenFile tensors_;
};

TEST_F(GoldenMatchUnits, TheLimiterAgreesStageByStage) {
  const auto& expected = numbers_.at("limiter");
  auto channels = testing::render_recipe(expected.at("signal"));
  ASSERT_TRUE(testing::recipe_matches_check(channels, expected.at("check")));
  const StereoSignal signal{channels.at(0), channels.at(1), 44100};
  const MatchConfig config{.threshold = expected.at("threshold")};
  const double peak = std::max(expected.at("check").at("peak").at(0).get<double>(),
                               expected.at("check").at("peak").at(1).get<double>());
  LimiterStages stages;
  const auto made = limiter_gain(signal, peak, 1, config, &stages);
  EXPECT_EQ(made.n_over, expected.at("samples_over"));
  EXPECT_TRUE(near_all(tensors_.at("limiter.hard").values, stages.hard, 1e-12));
  EXPECT_TRUE(near_all(tensors_.at("limiter.slided").values, stages.slid, 1e-12));
  EXPECT_TRUE(near_all(tensors_.at("limiter.attack").values, stages.attack, 1e-9));
  EXPECT_TRUE(near_all(tensors_.at("limiter.held").values, stages.held, 1e-12));
  EXPECT_TRUE(near_all(tensors_.at("limiter.hold").values, stages.hold, 1e-9));
  EXPECT_TRUE(near_all(tensors_.at("limiter.release").values, stages.release, 1e-9));
  EXPECT_TRUE(near_all(tensors_.at("limiter.gain").values, made.gain, 1e-9));
  std::vector<double> output;
  for (std::size_t i = 0; i < made.gain.size(); ++i) {
    output.push_back(signal.left[i] * made.gain[i]);
    output.push_back(signal.right[i] * made.gain[i]);
  }
  EXPECT_TRUE(near_all(tensors_.at("limiter.output").values, output, 1e-9));
  // The same signal at half its level with all limits halved is turned down alike.
  const auto halved = limiter_gain(signal, peak, 0.5, {.threshold = config.threshold / 2});
  EXPECT_TRUE(near_all(made.gain, halved.gain, 1e-12));
}

TEST_F(GoldenMatchUnits, LocalRegressionIsStatsmodels) {
  const auto& y = tensors_.at("lowess.y").values;
  ASSERT_FALSE(numbers_.at("lowess").at("cases").empty());
  for (const auto& expected : numbers_.at("lowess").at("cases")) {
    const auto got = lowess(y, expected.at("frac"), expected.at("it"), expected.at("delta"));
    EXPECT_TRUE(near_all(tensors_.at(expected.at("tensor")).values, got, 1e-9)) << expected;
  }
}

TEST_F(GoldenMatchUnits, ARatioIsSmoothedOverOctavesAndMadeAFilter) {
  testing::Lcg random(1421);
  std::vector<double> ratio;
  for (int k = 0; k <= 2048; ++k) ratio.push_back(std::exp(0.6 * std::sin(k / 60.0) + 0.2 * random.next()));
  const auto smooth = smooth_ratio(ratio, {});
  EXPECT_TRUE(near_all(tensors_.at("smooth.result").values, smooth, 1e-6));
  EXPECT_TRUE(near_all(tensors_.at("smooth.fir").values, linear_phase_taps(smooth), 1e-6));
}

TEST(CubicSpline, GivesACubicBackAndGoesOnWithIt) {
  const auto cubic = [](double x) { return 1 - 2 * x + 0.5 * x * x - 0.25 * x * x * x; };
  std::vector<double> x, y, at, expected;
  for (int i = 0; i < 9; ++i) x.push_back(i + 0.3 * std::sin(i)), y.push_back(cubic(x.back()));
  for (double t = -1; t < 10; t += 0.37) at.push_back(t), expected.push_back(cubic(t));
  EXPECT_TRUE(near_all(expected, cubic_spline(x, y, at), 1e-11));
}

}  // namespace
}  // namespace melisma
