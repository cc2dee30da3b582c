// Rank tests, paired comparisons, corrections and distributions against scipy and statsmodels.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "eval/statistics/distributions.h"
#include "eval/statistics/multiplicity.h"
#include "eval/statistics/paired.h"
#include "eval/statistics/quantile.h"
#include "eval/statistics/rank_tests.h"
#include "tests/eval/statistics/statistics_fixture.h"
#include "tools/base/table.h"

namespace melisma {
namespace {

class GoldenStatisticsOfPairs : public ::testing::Test {
 protected:
  void SetUp() override {
    fixture_ = statistics_fixture();
    if (fixture_.is_null()) GTEST_SKIP() << "no metrics fixtures here";
    a_ = numbers_of(fixture_["a"]);
    b_ = numbers_of(fixture_["b"]);
    for (size_t i = 0; i < a_.size(); ++i) differences_.push_back(b_[i] - a_[i]);
  }
  nlohmann::json fixture_;
  std::vector<double> a_;
  std::vector<double> b_;
  std::vector<double> differences_;
};

void expect_near(const nlohmann::json& expected, double got) { EXPECT_NEAR(got, expected.get<double>(), 1e-9); }

void expect_interval_near(const nlohmann::json& expected, Interval got) {
  expect_near(expected[0], got.low);
  expect_near(expected[1], got.high);
}

std::pair<double, double> around_bar(const std::string& key) {
  auto bar = key.find('|');
  return {std::stod(key.substr(0, bar)), std::stod(key.substr(bar + 1))};
}

}  // namespace

TEST_F(GoldenStatisticsOfPairs, SignedRankWithoutTies) {
  const auto& expected = fixture_["wilcoxon"];
  auto differences = numbers_of(expected["differences_no_ties"]);
  auto check = [&](const char* name, const SignedRankOptions& options) {
    SCOPED_TRACE(name);
    auto test = signed_rank_test(differences, options);
    expect_near(expected["results"][name]["statistic"], test.statistic);
    EXPECT_TRUE(near_relative(expected["results"][name]["p"], test.p, 1e-10));
    if (expected["results"][name].contains("z")) expect_near(expected["results"][name]["z"], test.z);
  };
  check("exact_two-sided", {.distribution = NullDistribution::exact});
  check("exact_greater", {.alternative = Alternative::greater});
  check("exact_less", {.alternative = Alternative::less});
  check("approx_no_correction", {.distribution = NullDistribution::normal});
  check("approx_correction", {.distribution = NullDistribution::normal, .continuity = true});
}

TEST_F(GoldenStatisticsOfPairs, SignedRankWithTiesAndZeros) {
  const auto& expected = fixture_["wilcoxon"];
  auto differences = numbers_of(expected["differences_with_ties_and_zeros"]);
  const std::pair<const char*, ZeroRule> rules[] = {
      {"wilcox", ZeroRule::drop}, {"pratt", ZeroRule::pratt}, {"zsplit", ZeroRule::split}};
  for (const auto& [name, rule] : rules) {
    for (bool continuity : {false, true}) {
      std::string key = std::string(name) + (continuity ? "_corr" : "_nocorr");
      SCOPED_TRACE(key);
      auto test = signed_rank_test(differences,
                                   {.zeros = rule, .distribution = NullDistribution::normal, .continuity = continuity});
      expect_near(expected["with_ties"][key]["statistic"], test.statistic);
      expect_near(expected["with_ties"][key]["z"], test.z);
      EXPECT_TRUE(near_relative(expected["with_ties"][key]["p"], test.p, 1e-10));
    }
  }
}

TEST_F(GoldenStatisticsOfPairs, PairedTTestAndMeanInterval) {
  auto test = paired_t_test(differences_);
  expect_near(fixture_["paired_t"]["t"], test.t);
  EXPECT_TRUE(near_relative(fixture_["paired_t"]["p"], test.p, 1e-10));
  EXPECT_EQ(test.freedom, fixture_["paired_t"]["df"].get<int64_t>());
  expect_interval_near(fixture_["paired_t"]["ci95"], test.mean_difference_95);
  expect_near(fixture_["mean_ci"]["mean"], mean(a_));
  expect_near(fixture_["mean_ci"]["sd"], standard_deviation(a_));
  expect_interval_near(fixture_["mean_ci"]["t_ci95"], student_interval(a_, .95));
}

TEST_F(GoldenStatisticsOfPairs, SignTestAndIntervalsOfAShare) {
  auto test = sign_test(differences_);
  const auto& expected = fixture_["sign_test"];
  EXPECT_EQ(test.positive, expected["positive"].get<int64_t>());
  EXPECT_EQ(test.n, expected["n"].get<int64_t>());
  EXPECT_TRUE(near_relative(expected["p"], test.p, 1e-10));
  expect_interval_near(expected["clopper_pearson"], test.clopper_pearson);
  expect_interval_near(expected["wilson"], test.wilson);
}

TEST_F(GoldenStatisticsOfPairs, EffectSizesAndMannWhitney) {
  const auto& expected = fixture_["effect_size"];
  expect_near(expected["cohen_dz"], cohen_dz(differences_));
  expect_near(expected["cohen_d_pooled"], cohen_d(a_, b_));
  expect_near(expected["cliffs_delta"], cliffs_delta(a_, b_));
  expect_near(expected["rank_biserial"], rank_biserial(differences_));
  expect_near(expected["probability_of_superiority"], probability_of_superiority(a_, b_));
  auto test = mann_whitney_test(a_, b_);
  expect_near(fixture_["mann_whitney"]["u"], test.u);
  EXPECT_TRUE(near_relative(fixture_["mann_whitney"]["p_asymptotic"], test.p_asymptotic, 1e-10));
  EXPECT_TRUE(near_relative(fixture_["mann_whitney"]["p_exact"], test.p_exact, 1e-10));
}

TEST_F(GoldenStatisticsOfPairs, Correlations) {
  auto check = [&](const char* name, Correlation got) {
    SCOPED_TRACE(name);
    expect_near(fixture_["correlation"][name][0], got.value);
    EXPECT_TRUE(near_relative(fixture_["correlation"][name][1], got.p, 1e-9));
  };
  check("pearson", pearson_correlation(a_, b_));
  check("spearman", spearman_correlation(a_, b_));
  check("kendall_b", kendall_correlation(a_, b_));
}

TEST_F(GoldenStatisticsOfPairs, EveryCorrectionForSeveralTests) {
  const auto& expected = fixture_["multiplicity"];
  auto p = numbers_of(expected["p"]);
  size_t checked = 0;
  for (const auto& [name, values] : expected.items()) {
    if (name == "p") continue;
    SCOPED_TRACE(name);
    auto adjusted = find_row(kCorrections, name, "correction").adjust(p);
    EXPECT_TRUE(testing::near_all(numbers_of(values["adjusted"]), std::span<const double>(adjusted), 1e-9));
    for (size_t i = 0; i < adjusted.size(); ++i) EXPECT_EQ(adjusted[i] <= .05, values["reject"][i].get<bool>());
    ++checked;
  }
  EXPECT_EQ(checked, kCorrections.size());
}

TEST_F(GoldenStatisticsOfPairs, DistributionTails) {
  const auto& expected = fixture_["distributions"];
  for (const auto& [p, x] : expected["norm_ppf"].items()) EXPECT_NEAR(normal_quantile(std::stod(p)), x, 1e-10) << p;
  for (const auto& [x, p] : expected["norm_cdf"].items())
    EXPECT_TRUE(near_relative(p, normal_cdf(std::stod(x)), 1e-10));
  for (const auto& [key, x] : expected["t_ppf"].items()) {
    auto [p, freedom] = around_bar(key);
    EXPECT_TRUE(near_relative(x, student_quantile(p, freedom), 1e-10)) << key;
  }
  for (const auto& [key, p] : expected["t_sf"].items()) {
    auto [t, freedom] = around_bar(key);
    EXPECT_TRUE(near_relative(p, student_sf(t, freedom), 1e-10)) << key;
  }
  for (const auto& [key, p] : expected["chi2_sf"].items()) {
    auto [x, freedom] = around_bar(key);
    EXPECT_TRUE(near_relative(p, chi_squared_sf(x, freedom), 1e-10)) << key;
  }
  EXPECT_TRUE(near_relative(expected["binom_sf"]["61 of 97 at .5"], binomial_at_least(61, 97, .5), 1e-10));
}

TEST(SignedRank, ExactDistributionCountsTies) {
  // Three equal differences: signs are the only freedom, P(all positive) = 1/8.
  const double differences[] = {2, 2, 2};
  EXPECT_DOUBLE_EQ(signed_rank_test(differences, {.alternative = Alternative::greater}).p, .125);
  EXPECT_DOUBLE_EQ(signed_rank_test(differences).p, .25);
}

TEST(SignedRank, SaysNothingOfZerosAlone) {
  const double differences[] = {0, 0};
  EXPECT_EQ(signed_rank_test(differences).p, 1);
  EXPECT_EQ(signed_rank_test({}).p, 1);
  EXPECT_EQ(sign_test({}).p, 1);
}

TEST(Quantile, InterpolatesBetweenNeighbours) {
  const double values[] = {4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(quantile(values, .5), 2.5);
  EXPECT_DOUBLE_EQ(quantile(values, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(values, 1), 4);
  EXPECT_DOUBLE_EQ(quantile(values, .1), 1.3);
  EXPECT_TRUE(std::isnan(median({})));
}

TEST(Correlation, IsUndefinedWhereNothingVaries) {
  const double constant[] = {1, 1, 1, 1};
  const double rising[] = {1, 2, 3, 4};
  EXPECT_TRUE(std::isnan(pearson_correlation(constant, rising).value));
  EXPECT_TRUE(std::isnan(kendall_correlation(constant, rising).value));
}

}  // namespace melisma
