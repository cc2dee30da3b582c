// Curves: splines through points, local regression, and a spectrum's ratio smoothed evenly over octaves.
#pragma once
#include <span>
#include <vector>

#include "infer/match/match_config.h"

namespace melisma {

// Values at `at` of the cubic spline through (x, y) whose third derivative does not jump at the second and the last but
// one point (not-a-knot); beyond the ends its last cubics go on. x and at rise; four points or more.
[[nodiscard]] std::vector<double> cubic_spline(std::span<const double> x, std::span<const double> y,
                                               std::span<const double> at);

// LOWESS (Cleveland 1979) of y over x = 0 ... 1 in equal steps: straight lines through the nearest `share` of all
// points, weighted by tricubes, `rounds` robust rounds on top; fits closer than `delta` are interpolated. As
// statsmodels 0.15.
[[nodiscard]] std::vector<double> lowess(std::span<const double> y, double share, int rounds, double delta);

// ratio [fft_size / 2 + 1] over linear frequency -> the same smoothed over a logarithmic grid from the fourth bin's
// frequency up; the first bin becomes 0, the second stays.
[[nodiscard]] std::vector<double> smooth_ratio(std::span<const double> ratio, const MatchConfig& config);

}  // namespace melisma
