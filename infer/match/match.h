// Reference matching: a recording gets the level and the spectrum of another one, as Matchering 2.0.6 does it.
//
//   const auto profile = reference_profile(reference, config);
//   const MatchedSong song = match_to(std::move(target), profile, config);
//   song.render(MatchFinish::limited, 0, left, right);
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "infer/match/levels.h"
#include "infer/match/match_config.h"
#include "infer/match/match_limiter.h"
#include "infer/match/song_loudness.h"
#include "infer/match/spectra.h"
#include "infer/match/stereo.h"

namespace melisma {

// What matching knows of a reference: the recording itself is not needed any more.
struct MatchProfile {
  std::int64_t sample_rate_hz = 0, fft_size = 0, n_frames = 0;
  double final_amplitude = 1;  // what the result is multiplied by at its end: a quiet reference is matched louder
  PieceSizes sizes;
  PieceLevels levels;      // at full level
  MidSideSpectra spectra;  // likewise, of the loud pieces
  // Of the recording as it is, for the improved mode; reference_profile leaves them out.
  SongLoudness loudness = {};
  std::vector<double> level_quantiles = {};
};

// Throws Error(data) for a signal at another rate than the settings', shorter than a spectrum, or silent.
[[nodiscard]] MatchProfile reference_profile(const StereoSignal& reference, const MatchConfig& config);

// The same, and how loud it is.
[[nodiscard]] MatchProfile profile_with_loudness(const StereoSignal& reference, const MatchConfig& config);

// One channel's way from two spectra to a filter.
struct MatchCurve {
  std::vector<double> ratio, smoothed;  // [fft_size / 2 + 1]
  std::vector<double> taps;             // [fft_size]
  std::int64_t n_clamped = 0;           // bins in which the target is below min_value
};

struct MatchCorrection {
  double coefficient = 1;
  PieceLevels levels;  // of the clipped mid channel before it
};

// What was found and done, in the order it happened.
struct MatchRecord {
  PieceSizes sizes;
  PieceLevels target;
  double level_coefficient = 1;
  MidSideSpectra target_spectra;  // after that coefficient
  MatchCurve mid, side;
  std::vector<MatchCorrection> corrections;
  double peak = 0;  // before the end, largest |sample|
};

// The three ways a result ends.
enum class MatchFinish {
  limited,     // through the limiter, then at the reference's amplitude
  unlimited,   // as it is, whatever its peaks
  normalised,  // as it is, its peak at the threshold
};

struct MatchFinishRow {
  MatchFinish finish;
  std::string_view name, summary;
};
inline constexpr std::array kMatchFinishes{
    MatchFinishRow{MatchFinish::limited, "limited", "through the limiter, at the reference's amplitude"},
    MatchFinishRow{MatchFinish::unlimited, "unlimited", "without limiter, peaks past full scale kept"},
    MatchFinishRow{MatchFinish::normalised, "normalised", "without limiter, the peak at the threshold"},
};

struct MatchedSong {
  StereoSignal filtered;  // the target through the filter
  double level = 1;       // what the corrections came to: a factor of `filtered` in every finish
  double threshold = 1, min_value = 0, final_amplitude = 1;
  MatchRecord record;
  std::optional<LimiterGain> limiter = {};  // not computed where no finish asks for it

  // Frames [first, first + left.size()) as they end.
  void render(MatchFinish finish, std::int64_t first, std::span<double> left, std::span<double> right) const;
};

// Throws Error(data) as reference_profile, Error(config) if the profile is of another rate or spectrum size than the
// settings. Results do not depend on the number of threads.
[[nodiscard]] MatchedSong match_to(StereoSignal target, const MatchProfile& reference, const MatchConfig& config,
                                   bool is_limited = true);

// A ratio of spectra as a curve: clamped, smoothed, made a filter.
[[nodiscard]] MatchCurve matching_curve(std::span<const double> target, std::span<const double> reference,
                                        const MatchConfig& config);

}  // namespace melisma
