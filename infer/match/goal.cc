#include "infer/match/goal.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tools/base/error.h"

namespace melisma {
namespace match_goal_detail {
namespace {

void require_some(std::size_t n) {
  if (n == 0) fail(ErrorKind::config, "no reference to match to; name one");
}

double bin_hz(std::int64_t sample_rate_hz, std::int64_t fft_size) {
  return static_cast<double>(sample_rate_hz) / static_cast<double>(fft_size);
}

// Magnitudes on another grid: straight lines between bins; a wider bin hears more of a noise.
std::vector<double> on_grid(const std::vector<double>& magnitudes, double from_hz, double to_hz, std::size_t n_bins) {
  std::vector<double> result(n_bins);
  const double wider = std::sqrt(to_hz / from_hz), last = static_cast<double>(magnitudes.size() - 1);
  for (std::size_t k = 0; k < n_bins; ++k) {
    const double at = std::min(static_cast<double>(k) * to_hz / from_hz, last);
    const auto below = static_cast<std::size_t>(at), above = std::min(below + 1, magnitudes.size() - 1);
    result[k] = wider * std::lerp(magnitudes[below], magnitudes[above], at - static_cast<double>(below));
  }
  return result;
}

void add(std::vector<double>& sum, const std::vector<double>& part, double factor) {
  for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += factor * part[k];
}

// Seconds of loud pieces.
double loud_seconds(const MatchProfile& profile) {
  return static_cast<double>(std::ssize(profile.levels.loudest) * profile.sizes.piece) /
         static_cast<double>(profile.sample_rate_hz);
}

std::vector<double> shares_of(std::span<const WeightedProfile> references, ReferenceRule rule) {
  std::vector<double> shares;
  for (const auto& [profile, weight] : references) {
    shares.push_back(rule == ReferenceRule::weighted ? weight : loud_seconds(profile));
  }
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (auto& share : shares) share /= total;
  return shares;
}

// Quantiles of levels that each stand for a share: of the mixture of several recordings.
std::vector<double> mixed_quantiles(std::vector<std::pair<double, double>> levels_and_shares) {
  std::ranges::sort(levels_and_shares);
  std::vector<double> quantiles;
  double below = 0;
  std::size_t at = 0;
  for (std::int64_t i = 1; i <= kLevelQuantiles; ++i) {
    const double wanted = static_cast<double>(i) / static_cast<double>(kLevelQuantiles + 1);
    while (at + 1 < levels_and_shares.size() && below + levels_and_shares[at].second / 2 < wanted) {
      below += levels_and_shares[at++].second;
    }
    quantiles.push_back(levels_and_shares[at].first);
  }
  return quantiles;
}

// The loudness of parts that follow each other: as a recording's, without those more than 10 LU below the mean.
double joined_lufs(std::span<const WeightedProfile> references, const std::vector<double>& shares) {
  const auto mean_above = [&](double gate) {
    double energy = 0, total = 0;
    for (std::size_t i = 0; i < references.size(); ++i) {
      const double lufs = references[i].profile.loudness.integrated_lufs;
      if (lufs < gate) continue;
      energy += shares[i] * std::pow(10, lufs / 10);
      total += shares[i];
    }
    return 10 * std::log10(energy / total);
  };
  return mean_above(mean_above(-std::numeric_limits<double>::infinity()) - 10);
}

// Loudness and spread of references that follow each other.
void join_loudness(std::span<const WeightedProfile> references, const std::vector<double>& shares, MatchGoal& goal) {
  goal.loudness.integrated_lufs = joined_lufs(references, shares);
  std::vector<std::pair<double, double>> levels;
  for (std::size_t i = 0; i < references.size(); ++i) {
    const auto& profile = references[i].profile;
    for (const double level : profile.level_quantiles) {
      levels.emplace_back(level + profile.loudness.integrated_lufs - goal.loudness.integrated_lufs,
                          shares[i] / static_cast<double>(kLevelQuantiles));
    }
  }
  if (references.size() > 1) {
    goal.quantiles = mixed_quantiles(std::move(levels));
  } else {
    goal.quantiles = references.front().profile.level_quantiles;
  }
}

void weigh_loudness(std::span<const WeightedProfile> references, const std::vector<double>& shares, MatchGoal& goal) {
  goal.loudness.integrated_lufs = 0;
  goal.quantiles.assign(static_cast<std::size_t>(kLevelQuantiles), 0);
  for (std::size_t i = 0; i < references.size(); ++i) {
    goal.loudness.integrated_lufs += shares[i] * references[i].profile.loudness.integrated_lufs;
    add(goal.quantiles, references[i].profile.level_quantiles, shares[i]);
  }
}

}  // namespace
}  // namespace match_goal_detail

MatchGoal goal_of(std::span<const WeightedProfile> references, ReferenceRule rule, std::int64_t sample_rate_hz,
                  std::int64_t fft_size) {
  using namespace match_goal_detail;
  require_some(references.size());
  const auto n_bins = static_cast<std::size_t>(fft_size / 2 + 1);
  const double hz = bin_hz(sample_rate_hz, fft_size);
  const auto shares = shares_of(references, rule);
  MatchGoal goal{.spectra = {std::vector<double>(n_bins), std::vector<double>(n_bins)},
                 .n_known = static_cast<std::int64_t>(n_bins)};
  double log_rms = 0, power = 0;
  for (std::size_t i = 0; i < references.size(); ++i) {
    const auto& profile = references[i].profile;
    const double from_hz = bin_hz(profile.sample_rate_hz, profile.fft_size), raw = profile.final_amplitude;
    const double rms = std::max(1e-12, profile.levels.match_rms * raw);
    const double factor = shares[i] * (rule == ReferenceRule::weighted ? raw / rms : raw);
    add(goal.spectra.mid, on_grid(profile.spectra.mid, from_hz, hz, n_bins), factor);
    add(goal.spectra.side, on_grid(profile.spectra.side, from_hz, hz, n_bins), factor);
    goal.spectra.n_frames += profile.spectra.n_frames;
    log_rms += shares[i] * std::log(rms);
    power += shares[i] * rms * rms;
    // Close to half its rate a reference tells more of its converter than of its sound.
    const auto known = static_cast<std::int64_t>(0.475 * static_cast<double>(profile.sample_rate_hz) / hz) + 1;
    if (profile.sample_rate_hz < sample_rate_hz) goal.n_known = std::min(goal.n_known, known);
    goal.loudness.range_lu += shares[i] * profile.loudness.range_lu;
    goal.loudness.true_peak_db = std::max(goal.loudness.true_peak_db, profile.loudness.true_peak_db);
  }
  goal.match_rms = rule == ReferenceRule::weighted ? std::exp(log_rms) : std::sqrt(power);
  if (rule == ReferenceRule::weighted) {
    for (auto* channel : {&goal.spectra.mid, &goal.spectra.side}) {
      for (auto& magnitude : *channel) magnitude *= goal.match_rms;
    }
    weigh_loudness(references, shares, goal);
  } else {
    join_loudness(references, shares, goal);
  }
  return goal;
}

MatchProfile concatenated(std::span<const MatchProfile> references) {
  using namespace match_goal_detail;
  require_some(references.size());
  auto joined = references.front();
  if (references.size() == 1) return joined;
  std::vector<WeightedProfile> all;
  joined.levels = {};
  joined.sizes = {};
  joined.n_frames = 0;
  for (const auto& reference : references) {
    if (reference.sample_rate_hz != joined.sample_rate_hz || reference.fft_size != joined.fft_size) {
      fail(ErrorKind::config,
           "references analysed at {} Hz with spectra of {} samples and at {} Hz with {} do not go together; analyse "
           "them alike, or match in mode improved",
           joined.sample_rate_hz, joined.fft_size, reference.sample_rate_hz, reference.fft_size);
    }
    all.push_back({reference, 1});
    joined.n_frames += reference.n_frames;
    joined.final_amplitude = std::max(joined.final_amplitude, reference.final_amplitude);
  }
  const auto goal = goal_of(all, ReferenceRule::concatenated, joined.sample_rate_hz, joined.fft_size);
  const double loudest = 1 / joined.final_amplitude;
  joined.spectra = goal.spectra;
  for (auto* channel : {&joined.spectra.mid, &joined.spectra.side}) {
    for (auto& magnitude : *channel) magnitude *= loudest;
  }
  for (const auto& reference : references) {
    for (const auto piece : reference.levels.loudest) {
      joined.levels.loudest.push_back(std::ssize(joined.levels.rmses));
      joined.levels.rmses.push_back(reference.levels.rmses[static_cast<std::size_t>(piece)] *
                                    reference.final_amplitude * loudest);
    }
    joined.sizes.divisions += std::ssize(reference.levels.loudest);
  }
  joined.levels.match_rms = joined.levels.average = goal.match_rms * loudest;
  joined.loudness = goal.loudness;
  joined.level_quantiles = goal.quantiles;
  return joined;
}

}  // namespace melisma
