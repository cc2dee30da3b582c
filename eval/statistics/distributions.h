// Tail probabilities and quantiles of the normal, Student, chi-squared, beta and binomial distributions, in double.
#pragma once
#include <cstdint>

namespace melisma {

// P(Z <= x) of the standard normal; accurate in both tails (erfc).
[[nodiscard]] double normal_cdf(double x);
// P(Z > x): 1 - normal_cdf(x) without cancellation.
[[nodiscard]] double normal_sf(double x);
// The x with P(Z <= x) = p. -inf at 0, +inf at 1, NaN outside [0, 1].
[[nodiscard]] double normal_quantile(double p);

// Regularised incomplete beta function I_x(a, b), a > 0, b > 0 (continued fraction, DLMF 8.17.22).
[[nodiscard]] double incomplete_beta(double a, double b, double x);
// The x with I_x(a, b) = p.
[[nodiscard]] double beta_quantile(double p, double a, double b);

// P(T > t) of Student's t with `freedom` degrees of freedom (any positive real).
[[nodiscard]] double student_sf(double t, double freedom);
[[nodiscard]] double student_quantile(double p, double freedom);

// P(X > x) of chi-squared.
[[nodiscard]] double chi_squared_sf(double x, double freedom);

// P(X >= successes) of a binomial with n trials of probability p.
[[nodiscard]] double binomial_at_least(int64_t successes, int64_t n, double p);

}  // namespace melisma
