#include "infer/match/match.h"

#include <algorithm>

#include "infer/match/fir.h"
#include "infer/match/share_out.h"
#include "infer/match/smoothing.h"
#include "tools/base/error.h"

namespace melisma {
namespace match_detail {
namespace {

void require_usable(const StereoSignal& signal, const MatchConfig& config) {
  if (signal.sample_rate_hz != config.sample_rate_hz) {
    fail(ErrorKind::data, "recorded at {} Hz, expected {} Hz; resample it first", signal.sample_rate_hz,
         config.sample_rate_hz);
  }
  if (signal.n_frames() < config.fft_size) {
    fail(ErrorKind::data, "{} frames, expected {} or more; take a longer part", signal.n_frames(), config.fft_size);
  }
}

void require_sound(const PieceMeter& meter) {
  if (meter.peak() == 0)
    fail(ErrorKind::data, "holds only silence: there is no level to match; take another recording");
}

void scale(std::vector<double>& values, double gain) {
  for (auto& value : values) value *= gain;
}

void match_levels(MatchedSong& song, const MatchProfile& reference, const MatchConfig& config) {
  auto& record = song.record;
  const PieceMeter meter(song.filtered, config);
  require_sound(meter);
  record.sizes = meter.sizes();
  record.target = meter.levels(1, false);
  record.level_coefficient = reference.levels.match_rms / std::max(config.min_value, record.target.match_rms);
  record.target_spectra = loud_spectra(song.filtered, record.sizes, record.target.loudest, config.fft_size);
  scale(record.target_spectra.mid, record.level_coefficient);
  scale(record.target_spectra.side, record.level_coefficient);
}

void match_spectra(MatchedSong& song, const MatchProfile& reference, const MatchConfig& config) {
  auto& record = song.record;
  share_out(2, [&](std::int64_t which) {
    if (which == 0) {
      record.mid = matching_curve(record.target_spectra.mid, reference.spectra.mid, config);
    } else {
      record.side = matching_curve(record.target_spectra.side, reference.spectra.side, config);
    }
  });
  auto mid_taps = record.mid.taps, side_taps = record.side.taps;
  scale(mid_taps, record.level_coefficient);
  scale(side_taps, record.level_coefficient);
  convolve_mid_side(song.filtered, mid_taps, side_taps);
}

void correct_levels(MatchedSong& song, const MatchProfile& reference, const MatchConfig& config) {
  const PieceMeter meter(song.filtered, config);
  for (int round = 0; round < config.corrections; ++round) {
    auto levels = meter.levels(song.level, true);
    const double coefficient = reference.levels.match_rms / std::max(config.min_value, levels.match_rms);
    song.level *= coefficient;
    song.record.corrections.push_back({coefficient, std::move(levels)});
  }
  song.record.peak = meter.peak() * song.level;
}

}  // namespace
}  // namespace match_detail

MatchProfile reference_profile(const StereoSignal& reference, const MatchConfig& config) {
  using namespace match_detail;
  require_usable(reference, config);
  const PieceMeter meter(reference, config);
  require_sound(meter);
  MatchProfile profile{.sample_rate_hz = config.sample_rate_hz,
                       .fft_size = config.fft_size,
                       .n_frames = reference.n_frames(),
                       .sizes = meter.sizes()};
  if (meter.peak() < config.threshold) {
    profile.final_amplitude = std::max(config.min_value, meter.peak() / config.threshold);
  }
  profile.levels = meter.levels(1 / profile.final_amplitude, false);
  profile.spectra = loud_spectra(reference, profile.sizes, profile.levels.loudest, config.fft_size);
  scale(profile.spectra.mid, 1 / profile.final_amplitude);
  scale(profile.spectra.side, 1 / profile.final_amplitude);
  return profile;
}

MatchProfile profile_with_loudness(const StereoSignal& reference, const MatchConfig& config) {
  auto profile = reference_profile(reference, config);
  profile.loudness = loudness_of(reference);
  profile.level_quantiles = level_quantiles(levels_over_time(reference), profile.loudness.integrated_lufs);
  return profile;
}

MatchCurve matching_curve(std::span<const double> target, std::span<const double> reference,
                          const MatchConfig& config) {
  MatchCurve curve{.ratio = {reference.begin(), reference.end()}};
  for (std::size_t k = 0; k < curve.ratio.size(); ++k) {
    curve.ratio[k] /= std::max(config.min_value, target[k]);
    curve.n_clamped += target[k] < config.min_value ? 1 : 0;
  }
  curve.smoothed = smooth_ratio(curve.ratio, config);
  curve.taps = linear_phase_taps(curve.smoothed);
  return curve;
}

MatchedSong match_to(StereoSignal target, const MatchProfile& reference, const MatchConfig& config, bool is_limited) {
  using namespace match_detail;
  if (reference.sample_rate_hz != config.sample_rate_hz || reference.fft_size != config.fft_size) {
    fail(ErrorKind::config, "the reference was analysed at {} Hz with spectra of {} samples, expected {} Hz and {}",
         reference.sample_rate_hz, reference.fft_size, config.sample_rate_hz, config.fft_size);
  }
  require_usable(target, config);
  MatchedSong song{.filtered = std::move(target),
                   .threshold = config.threshold,
                   .min_value = config.min_value,
                   .final_amplitude = reference.final_amplitude};
  match_levels(song, reference, config);
  match_spectra(song, reference, config);
  correct_levels(song, reference, config);
  if (is_limited) song.limiter = limiter_gain(song.filtered, song.record.peak / song.level, song.level, config);
  return song;
}

void MatchedSong::render(MatchFinish finish, std::int64_t first, std::span<double> left,
                         std::span<double> right) const {
  if (finish == MatchFinish::limited && !limiter.has_value()) {
    fail(ErrorKind::internal, "a limited result was asked for, but the limiter was left out");
  }
  double gain = level;
  if (finish == MatchFinish::limited) gain *= final_amplitude;
  if (finish == MatchFinish::normalised) gain /= std::max(min_value, record.peak / threshold);
  const auto from = static_cast<std::size_t>(first);
  const bool is_turned_down = finish == MatchFinish::limited && !limiter->gain.empty();
  for (std::size_t i = 0; i < left.size(); ++i) {
    const double factor = is_turned_down ? gain * limiter->gain[from + i] : gain;
    left[i] = filtered.left[from + i] * factor;
    right[i] = filtered.right[from + i] * factor;
  }
}

}  // namespace melisma
