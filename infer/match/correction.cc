#include "infer/match/correction.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/effects/decibels.h"

namespace melisma {
namespace match_correction_detail {
namespace {

constexpr double kLeast = 1e-15;     // of a magnitude, where there is none
constexpr double kTrustRampDb = 12;  // from no trust to full trust
constexpr double kFadeOctaves = 1 / 3.0;
constexpr double kLevelFromHz = 60, kLevelToHz = 12000;

// Means over bins [k / reach, k * reach], by sums that run along.
std::vector<double> box_smoothed(const std::vector<double>& values, double reach) {
  const auto n = values.size();
  std::vector<double> sums(n + 1), means(n);
  for (std::size_t k = 0; k < n; ++k) sums[k + 1] = sums[k] + values[k];
  for (std::size_t k = 1; k < n; ++k) {
    const auto at = static_cast<double>(k);
    const auto first = std::max<std::size_t>(1, static_cast<std::size_t>(std::llround(at / reach)));
    const auto last = std::min(n - 1, static_cast<std::size_t>(std::llround(at * reach)));
    means[k] = (sums[last + 1] - sums[first]) / static_cast<double>(last + 1 - first);
  }
  means[0] = n > 1 ? means[1] : values[0];
  return means;
}

// 0 up to `from_db`, 1 from kTrustRampDb above.
double trust(double level_db, double from_db) { return std::clamp((level_db - from_db) / kTrustRampDb, 0.0, 1.0); }

// 0 outside [low, high], 1 from a third octave inside, half a period of a cosine over the octave between.
double band_weight(double hz, const ImprovedConfig& how) {
  const auto rise = [](double octaves) {
    return 0.5 - 0.5 * std::cos(std::numbers::pi * std::clamp(octaves / kFadeOctaves, 0.0, 1.0));
  };
  double weight = 1;
  if (how.low_hz > 0) weight *= hz > 0 ? rise(std::log2(hz / how.low_hz)) : 0;
  if (hz > 0) weight *= rise(std::log2(how.high_hz / hz));
  return weight;
}

class Corrector {
 public:
  Corrector(const MidSideSpectra& target, const MatchGoal& goal, std::int64_t sample_rate_hz, const ImprovedConfig& how)
      : how_(how),
        n_known_(static_cast<std::size_t>(goal.n_known)),
        bin_hz_(static_cast<double>(sample_rate_hz) / 2 / static_cast<double>(target.mid.size() - 1)),
        // Mean magnitude of a white noise in this transform.
        noise_floor_db_(how.noise_floor_db +
                        db_of_factor(std::sqrt(std::numbers::pi / 4 / (2 * static_cast<double>(target.mid.size()))))),
        mid_(octave_smoothed(target.mid, how.smoothing_octaves)),
        side_(octave_smoothed(target.side, how.smoothing_octaves)),
        goal_mid_(octave_smoothed(goal.spectra.mid, how.smoothing_octaves)),
        goal_side_(octave_smoothed(goal.spectra.side, how.smoothing_octaves)),
        level_db_(mean_difference_db()) {}

  CorrectionGains make() {
    CorrectionGains gains{std::vector<double>(mid_.size()), std::vector<double>(mid_.size())};
    for (std::size_t k = 1; k < mid_.size(); ++k) {
      const auto [mid_db, side_db] = gains_db(std::min(k, n_known_ - 1), k, gains);
      gains.mid[k] = 1 + how_.mix * (factor_of_db(mid_db) - 1);
      gains.side[k] = 1 + how_.mix * (factor_of_db(side_db) - 1);
    }
    gains.mid[0] = gains.mid[1];
    gains.side[0] = gains.side[1];
    return gains;
  }

 private:
  struct Pair {
    double mid, side;
  };
  static double total_db(double mid, double side) { return 10 * std::log10(mid * mid + side * side + kLeast * kLeast); }
  static double db(double magnitude) { return 20 * std::log10(magnitude + kLeast); }

  double difference_db(std::size_t k) const {
    return total_db(goal_mid_[k], goal_side_[k]) - total_db(mid_[k], side_[k]);
  }

  // Over octaves, where the target has something.
  double mean_difference_db() const {
    double sum = 0, weights = 0;
    for (std::size_t k = 1; k < n_known_; ++k) {
      const double hz = bin_hz_ * static_cast<double>(k);
      if (hz < kLevelFromHz || hz > kLevelToHz) continue;
      const double weight = trust(total_db(mid_[k], side_[k]), noise_floor_db_) / static_cast<double>(k);
      sum += weight * difference_db(k);
      weights += weight;
    }
    return weights > 0 ? sum / weights : 0;
  }

  // What is known of bin `from`, for bin `k`.
  Pair gains_db(std::size_t from, std::size_t k, CorrectionGains& counts) const {
    const double weight = band_weight(bin_hz_ * static_cast<double>(k), how_);
    double spectrum_db = difference_db(from) - level_db_;
    if (spectrum_db > 0) spectrum_db *= trust(total_db(mid_[from], side_[from]), noise_floor_db_);
    const double bounded_db = std::clamp(spectrum_db, -how_.max_cut_db, how_.max_boost_db);
    counts.n_limited += bounded_db != spectrum_db ? 1 : 0;
    spectrum_db = how_.spectrum * weight * bounded_db;
    // The side against the mid, before and after.
    const double before_db = db(side_[from]) - db(mid_[from]);
    double wider_db = db(goal_side_[from]) - db(goal_mid_[from]) - before_db;
    if (wider_db > 0) {
      const double trusted = std::min(trust(before_db, how_.side_floor_db), trust(db(side_[from]), noise_floor_db_));
      counts.n_side_held += trusted < 1 ? 1 : 0;
      wider_db = std::min(wider_db * trusted, how_.max_boost_db);
    }
    wider_db *= how_.width * weight;
    const auto power = [](double ratio_db) { return 1 + std::pow(10, ratio_db / 10); };
    const double mid_db = spectrum_db + 10 * std::log10(power(before_db) / power(before_db + wider_db));
    return {mid_db, std::min(mid_db + wider_db, std::max(mid_db, how_.max_boost_db))};
  }

  const ImprovedConfig& how_;
  std::size_t n_known_;
  double bin_hz_, noise_floor_db_;
  std::vector<double> mid_, side_, goal_mid_, goal_side_;
  double level_db_;
};

}  // namespace
}  // namespace match_correction_detail

std::vector<double> octave_smoothed(std::span<const double> magnitudes, double octaves) {
  using match_correction_detail::box_smoothed;
  std::vector<double> power;
  for (const double magnitude : magnitudes) power.push_back(magnitude * magnitude);
  // Two boxes of half the width each make the triangle.
  const double reach = std::exp2(octaves / 4);
  power = box_smoothed(box_smoothed(power, reach), reach);
  for (auto& value : power) value = std::sqrt(value);
  return power;
}

CorrectionGains correction_gains(const MidSideSpectra& target, const MatchGoal& goal, std::int64_t sample_rate_hz,
                                 const ImprovedConfig& how) {
  return match_correction_detail::Corrector(target, goal, sample_rate_hz, how).make();
}

}  // namespace melisma
