#include "infer/match/improve.h"

#include <algorithm>
#include <cmath>

#include "data/effects/decibels.h"
#include "infer/match/fir.h"
#include "infer/match/peak_limiter.h"
#include "tools/base/error.h"

namespace melisma {
namespace match_improve_detail {
namespace {

constexpr std::int64_t kMostRounds = 16;
// The true peak is aimed this far below the ceiling, and may end this far below it.
constexpr double kPeakMarginDb = 0.03, kPeakSlackDb = 0.1;
constexpr double kAudibleDb = 0.01;

void require_usable(const StereoSignal& target, const MatchGoal& goal, const MatchConfig& config) {
  require_fitting(config);
  if (target.sample_rate_hz != config.sample_rate_hz) {
    fail(ErrorKind::data, "recorded at {} Hz, expected {} Hz", target.sample_rate_hz, config.sample_rate_hz);
  }
  if (target.n_frames() < config.fft_size) {
    fail(ErrorKind::data, "{} frames, expected {} or more; take a longer part", target.n_frames(), config.fft_size);
  }
  if (std::ssize(goal.spectra.mid) != config.fft_size / 2 + 1) {
    fail(ErrorKind::config, "the goal has {} frequencies, expected {}", goal.spectra.mid.size(),
         config.fft_size / 2 + 1);
  }
}

class Improver {
 public:
  Improver(StereoSignal target, const MatchGoal& goal, const MatchConfig& config, const ImprovedConfig& how)
      : goal_(goal), config_(config), how_(how), ceiling_(factor_of_db(how.ceiling_dbtp)) {
    made_.song.filtered = std::move(target);
    made_.song.threshold = ceiling_;
    made_.song.min_value = config.min_value;
  }

  ImprovedMatch make(bool is_limited) {
    look();
    filter();
    shape_dynamics();
    find_level(is_limited);
    return std::move(made_);
  }

 private:
  void look() {
    auto& song = made_.song;
    const PieceMeter meter(song.filtered, config_);
    if (meter.peak() == 0) {
      fail(ErrorKind::data, "holds only silence: there is no level to match; take another recording");
    }
    song.record.sizes = meter.sizes();
    song.record.target = meter.levels(1, false);
    song.record.target_spectra =
        loud_spectra(song.filtered, song.record.sizes, song.record.target.loudest, config_.fft_size);
    made_.record.before = loudness_of(song.filtered);
    made_.record.has_loudness = made_.record.before.is_measurable() && goal_.loudness.is_measurable();
  }

  void filter() {
    auto& record = made_.song.record;
    auto gains = correction_gains(record.target_spectra, goal_, config_.sample_rate_hz, how_);
    made_.record.n_side_held = gains.n_side_held;
    made_.record.n_limited_bins = gains.n_limited;
    record.mid.smoothed = std::move(gains.mid);
    record.side.smoothed = std::move(gains.side);
    for (auto* curve : {&record.mid, &record.side}) {
      curve->taps = linear_phase_taps(curve->smoothed);
      // The middle of the full convolution begins half a sample before the filter's: Matchering's result comes a sample
      // late, this one does not. What moves to the end is 0.
      std::ranges::rotate(curve->taps, curve->taps.begin() + 1);
    }
    convolve_mid_side(made_.song.filtered, record.mid.taps, record.side.taps);
  }

  void shape_dynamics() {
    const double share = how_.dynamics * how_.mix;
    if (share == 0 || !made_.record.has_loudness) return;
    const auto levels = levels_over_time(made_.song.filtered);
    const double integrated = loudness_of(made_.song.filtered, false).integrated_lufs;
    const auto quantiles = level_quantiles(levels, integrated);
    std::vector<double> factors;
    auto& record = made_.record;
    for (const double level : levels) {
      const double gain_db = std::clamp(share * spread_gain_db(level - integrated, quantiles, goal_.quantiles),
                                        -how_.max_dynamics_db, how_.max_dynamics_db);
      record.least_dynamics_db = std::min(record.least_dynamics_db, gain_db);
      record.most_dynamics_db = std::max(record.most_dynamics_db, gain_db);
      factors.push_back(factor_of_db(gain_db));
    }
    apply_over_time(factors);
  }

  // Straight lines between factors, one at the middle of each kLevelStepSeconds.
  void apply_over_time(const std::vector<double>& factors) {
    auto& signal = made_.song.filtered;
    const double step = kLevelStepSeconds * static_cast<double>(signal.sample_rate_hz);
    const auto last = static_cast<double>(factors.size() - 1);
    for (std::size_t i = 0; i < signal.left.size(); ++i) {
      const double at = std::clamp(static_cast<double>(i) / step - 0.5, 0.0, last);
      const auto below = static_cast<std::size_t>(at), above = std::min(below + 1, factors.size() - 1);
      const double factor = std::lerp(factors[below], factors[above], at - static_cast<double>(below));
      signal.left[i] *= factor;
      signal.right[i] *= factor;
    }
  }

  void find_level(bool is_limited) {
    auto& song = made_.song;
    auto& record = made_.record;
    const auto envelope = peak_envelope(song.filtered);
    const double share = how_.loudness * how_.mix;
    if (record.has_loudness) {
      record.wanted_lufs = std::lerp(record.before.integrated_lufs, goal_.loudness.integrated_lufs, share);
      const double now = loudness_of(song.filtered, false).integrated_lufs;
      song.level = factor_of_db(record.wanted_lufs - now);
    } else {
      const double now = PieceMeter(song.filtered, config_).levels(1, false).match_rms;
      const double wanted = record_rms() * std::pow(goal_.match_rms / record_rms(), share);
      song.level = wanted / std::max(config_.min_value, now);
    }
    if (is_limited) limit(envelope);
    song.record.peak = static_cast<double>(*std::ranges::max_element(envelope)) * song.level;
  }

  double record_rms() const { return std::max(config_.min_value, made_.song.record.target.match_rms); }

  // Level and limiter in turn, until the result is as loud as wanted and its peak where it belongs.
  void limit(const std::vector<float>& envelope) {
    auto& song = made_.song;
    auto& record = made_.record;
    const double peak = static_cast<double>(*std::ranges::max_element(envelope));
    const double most = ceiling_ / peak * factor_of_db(how_.max_limited_db);
    song.level = std::min(song.level, most);
    double aim_db = how_.ceiling_dbtp - kPeakMarginDb, slope = 1, last_level_db = 0, last_lufs = 0;
    for (record.rounds = 1;; ++record.rounds) {
      song.limiter = gain_below(envelope, song.level, factor_of_db(aim_db), config_.sample_rate_hz, how_);
      record.after = loudness_of(
          song.filtered.n_frames(), config_.sample_rate_hz,
          [&](std::int64_t first, auto left, auto right) { song.render(MatchFinish::limited, first, left, right); });
      const double over_db = record.after.true_peak_db - how_.ceiling_dbtp;
      const bool is_peak_fine = over_db <= 0 && (song.limiter->gain.empty() || over_db >= -kPeakSlackDb);
      const double missing = record.has_loudness ? record.wanted_lufs - record.after.integrated_lufs : 0;
      record.is_loudness_met = record.has_loudness && std::abs(missing) <= how_.tolerance_lu;
      const bool is_driven_to_the_end = missing > 0 && song.level >= most;
      const bool is_loud_enough = record.is_loudness_met || !record.has_loudness || is_driven_to_the_end;
      if ((is_peak_fine && is_loud_enough) || record.rounds == kMostRounds) break;
      if (!is_peak_fine) aim_db -= over_db + kPeakMarginDb;
      const double level_db = db_of_factor(song.level);
      if (record.rounds > 1 && std::abs(level_db - last_level_db) > 0.02) {
        slope = std::clamp((record.after.integrated_lufs - last_lufs) / (level_db - last_level_db), 0.1, 1.0);
      }
      last_level_db = level_db;
      last_lufs = record.after.integrated_lufs;
      if (!is_loud_enough)
        song.level = std::min(song.level * factor_of_db(std::clamp(missing / slope, -12., 12.)), most);
    }
    sum_up_limiting();
  }

  void sum_up_limiting() {
    const auto& gain = made_.song.limiter->gain;
    if (gain.empty()) return;
    const double audible = factor_of_db(-kAudibleDb);
    const auto n_down = std::ranges::count_if(gain, [&](double factor) { return factor < audible; });
    made_.record.limited_share = static_cast<double>(n_down) / static_cast<double>(gain.size());
    made_.record.most_limited_db = -db_of_factor(*std::ranges::min_element(gain));
  }

  const MatchGoal& goal_;
  const MatchConfig& config_;
  const ImprovedConfig& how_;
  double ceiling_;
  ImprovedMatch made_;
};

}  // namespace
}  // namespace match_improve_detail

double spread_gain_db(double level, const std::vector<double>& quantiles, const std::vector<double>& wanted) {
  constexpr double kFadeLu = 20;  // what is far below every level is rather noise than music: not turned up
  if (level <= quantiles.front()) {
    const double gain_db = wanted.front() - quantiles.front();
    return gain_db > 0 ? gain_db * std::clamp(1 - (quantiles.front() - level) / kFadeLu, 0.0, 1.0) : gain_db;
  }
  if (level >= quantiles.back()) return wanted.back() - quantiles.back();
  const auto above = std::ranges::upper_bound(quantiles, level) - quantiles.begin();
  const auto i = static_cast<std::size_t>(above);
  const double share = (level - quantiles[i - 1]) / (quantiles[i] - quantiles[i - 1]);
  return std::lerp(wanted[i - 1], wanted[i], share) - level;
}

ImprovedMatch improve(StereoSignal target, const MatchGoal& goal, const MatchConfig& config, const ImprovedConfig& how,
                      bool is_limited) {
  match_improve_detail::require_usable(target, goal, config);
  return match_improve_detail::Improver(std::move(target), goal, config, how).make(is_limited);
}

}  // namespace melisma
