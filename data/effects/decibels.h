// Decibels and factors of amplitude.
#pragma once
#include <cmath>
#include <numbers>

namespace melisma {

[[nodiscard]] inline double factor_of_db(double decibels) { return std::exp(decibels * (std::numbers::ln10 / 20)); }
// `factor` must be positive.
[[nodiscard]] inline double db_of_factor(double factor) { return std::log(factor) * (20 / std::numbers::ln10); }

}  // namespace melisma
