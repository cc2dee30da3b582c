// Rank tests: Wilcoxon's signed-rank for paired values, the sign test, and Mann-Whitney for independent samples.
#pragma once
#include <cstdint>
#include <span>

#include "eval/statistics/bootstrap.h"

namespace melisma {

enum class Alternative {
  two_sided,
  greater,  // the (first) values tend to be larger
  less,
};

// What becomes of differences that are exactly zero.
enum class ZeroRule {
  drop,   // Wilcoxon's own: removed before ranking
  pratt,  // ranked, then removed
  split,  // ranked, half of their ranks on each side
};

enum class NullDistribution {
  automatic,  // exact up to 50 differences, else normal
  exact,      // every assignment of signs to the ranks that occurred, ties included
  normal,
};

struct SignedRankOptions {
  Alternative alternative = Alternative::two_sided;
  ZeroRule zeros = ZeroRule::drop;
  NullDistribution distribution = NullDistribution::automatic;
  bool continuity = false;  // of the normal approximation
};

struct SignedRankTest {
  int64_t n = 0;      // differences that count
  double w_plus = 0;  // ranks of the positive differences
  double w_minus = 0;
  double statistic = 0;  // min(w_plus, w_minus) two-sided, w_plus one-sided
  double z = 0;          // of the statistic; 0 where the exact distribution was used
  double p = 1;
};

// `differences` finite. All zero or empty: p = 1. As scipy.stats.wilcoxon.
[[nodiscard]] SignedRankTest signed_rank_test(std::span<const double> differences,
                                              const SignedRankOptions& options = {});

struct SignTest {
  int64_t positive = 0;
  int64_t n = 0;             // differences that are not zero
  double p = 1;              // two-sided, exact binomial
  Interval clopper_pearson;  // 95 % of the share of positive differences
  Interval wilson;
};
[[nodiscard]] SignTest sign_test(std::span<const double> differences);

// Intervals of a share: `successes` of n, at a confidence of for example .95.
[[nodiscard]] Interval clopper_pearson_interval(int64_t successes, int64_t n, double confidence);
[[nodiscard]] Interval wilson_interval(int64_t successes, int64_t n, double confidence);

struct MannWhitneyTest {
  double u = 0;             // pairs in which the first sample's value is larger, ties count half
  double p_asymptotic = 1;  // two-sided, ties and continuity corrected
  double p_exact = 1;       // two-sided; meaningful without ties
};
[[nodiscard]] MannWhitneyTest mann_whitney_test(std::span<const double> first, std::span<const double> second);

}  // namespace melisma
