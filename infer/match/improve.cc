#include "infer/match/improve.h"

#include <algorithm>
#include <cmath>

#include "data/effects/decibels.h"
#include "infer/match/fir.h"
#include "tools/base/error.h"

namespace melisma {
namespace match_improve_detail {
namespace {

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
      : goal_(goal), config_(config), how_(how) {
    made_.song.filtered = std::move(target);
    made_.song.threshold = factor_of_db(how.ceiling_dbtp);
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
    const double share = how_.loudness * how_.mix;
    std::optional<double> wanted;
    const auto filtered = loudness_of(song.filtered);
    if (record.has_loudness) {
      wanted = std::lerp(record.before.integrated_lufs, goal_.loudness.integrated_lufs, share);
      record.wanted_lufs = *wanted;
      song.level = factor_of_db(*wanted - filtered.integrated_lufs);
    } else {
      const double now = PieceMeter(song.filtered, config_).levels(1, false).match_rms;
      const double before = std::max(config_.min_value, song.record.target.match_rms);
      song.level = before * std::pow(goal_.match_rms / before, share) / std::max(config_.min_value, now);
    }
    static_cast<FinishRecord&>(record) = finish_song(song, wanted, how_, is_limited);
    song.record.peak = factor_of_db(filtered.true_peak_db) * song.level;
  }

  const MatchGoal& goal_;
  const MatchConfig& config_;
  const ImprovedConfig& how_;
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
