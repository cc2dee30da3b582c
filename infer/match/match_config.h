// Settings of reference matching: those of Matchering 2.0.6 with its defaults, and those of what goes beyond it.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "tools/config/fields.h"

namespace melisma {

// The limiter without look-ahead delay: its gain is computed from the whole signal, the future included.
struct MatchLimiterConfig {
  double attack_ms = 1;
  double hold_ms = 1;
  double release_ms = 3000;
  double attack_coefficient = -2;  // the attack's one-pole filter forgets exp(coefficient) in attack_ms
  int hold_order = 1;
  double hold_hz = 7;
  int release_order = 1;
  double release_coefficient = 800;  // the release filter's corner is this over release_ms, in Hz
  static constexpr auto fields() {
    using C = MatchLimiterConfig;
    return std::tuple{
        field("attack_ms", &C::attack_ms, "a peak is met this long before it comes").unit("ms").range(0.1, 100),
        field("hold_ms", &C::hold_ms, "and held this long after it").unit("ms").range(0.1, 100),
        field("release_ms", &C::release_ms, "the longer, the slower levels come back").unit("ms").range(1, 60000),
        field("attack_coefficient", &C::attack_coefficient, "exponent of the attack filter over attack_ms")
            .range(-20, -0.1),
        field("hold_order", &C::hold_order, "of the hold filter").range(1, 4),
        field("hold_hz", &C::hold_hz, "corner of the hold filter").unit("Hz").range(0.1, 1000),
        field("release_order", &C::release_order, "of the release filter").range(1, 4),
        field("release_coefficient", &C::release_coefficient, "its corner in Hz times release_ms").range(1, 100000),
    };
  }
};

struct MatchConfig {
  std::int64_t sample_rate_hz = 44100;
  double max_seconds = 900;
  double max_piece_s = 15;
  double threshold = 0.998138427734375;  // (2^15 - 61) / 2^15
  double min_value = 1e-6;
  std::int64_t fft_size = 4096;
  std::int64_t oversampling = 4;
  int corrections = 4;
  double lowess_share = 0.0375;
  int lowess_rounds = 0;
  double lowess_delta = 0.001;
  MatchLimiterConfig limiter = {};
  static constexpr auto fields() {
    using C = MatchConfig;
    return std::tuple{
        field("sample_rate_hz", &C::sample_rate_hz, "mode exact: everything is resampled to this")
            .unit("Hz")
            .range(8000, 384000),
        field("max_seconds", &C::max_seconds, "longer recordings are refused").unit("s").range(1, 86400),
        field("max_piece_s", &C::max_piece_s, "levels are measured over equal pieces shorter than this")
            .unit("s")
            .range(1, 600),
        field("threshold", &C::threshold, "mode exact: the limiter's ceiling, of full scale").range(0.01, 1),
        field("min_value", &C::min_value, "least level and least spectral magnitude divided by").range(1e-12, 1e-2),
        field(
            "fft_size", &C::fft_size,
            "length of spectra and of the filter, a power of two; mode improved: at rates around 44100 Hz, twice that "
            "at twice the rate")
            .unit("samples")
            .range(256, 65536),
        field("oversampling", &C::oversampling, "mode exact: points of the logarithmic grid for each linear one")
            .range(1, 32),
        field("corrections", &C::corrections, "mode exact: rounds of level correction after the filter").range(0, 32),
        field("lowess_share", &C::lowess_share, "mode exact: share of the grid that a smoothed point hears")
            .range(0.001, 1),
        field("lowess_rounds", &C::lowess_rounds, "mode exact: robust rounds of the smoothing").range(0, 10),
        field("lowess_delta", &C::lowess_delta, "mode exact: points closer than this are interpolated").range(0, 0.1),
        field("limiter", &C::limiter, "mode exact: the limiter at the end"),
    };
  }
};

// Throws Error(config) for an fft_size that is no power of two, or pieces that may be shorter than a spectrum.
void require_fitting(const MatchConfig& config);

// The same for recordings at their own rate: spectra about as fine in Hz as at 44100 Hz.
[[nodiscard]] MatchConfig at_rate(MatchConfig config, std::int64_t sample_rate_hz);

// What is matched, how far, and how the result ends. A share of 0 leaves that side of the sound as it is.
struct ImprovedConfig {
  double spectrum = 1;
  double width = 1;
  double dynamics = 0;
  double loudness = 1;
  double mix = 1;
  double low_hz = 0;
  double high_hz = 384000;
  double smoothing_octaves = 0.333;
  double max_boost_db = 18;
  double max_cut_db = 30;
  double max_dynamics_db = 12;
  double noise_floor_db = -90;
  double side_floor_db = -50;
  double ceiling_dbtp = -1;
  double look_ahead_ms = 3;
  double release_ms = 100;
  double max_limited_db = 24;
  double tolerance_lu = 0.1;
  static constexpr auto fields() {
    using C = ImprovedConfig;
    return std::tuple{
        field("spectrum", &C::spectrum, "share, in dB, of the way to the reference's spectrum (mid and side together)")
            .range(0, 1),
        field("width", &C::width, "share, in dB, of the way to the reference's side against its mid, at each frequency")
            .range(0, 1),
        field("dynamics", &C::dynamics, "share of the way to the reference's spread of 400 ms loudness").range(0, 1),
        field("loudness", &C::loudness, "share, in LU, of the way from the target's loudness to the reference's")
            .range(0, 1),
        field("mix", &C::mix,
              "share of the matched recording in the result, the rest is the target; loudness goes along")
            .range(0, 1),
        field("low_hz", &C::low_hz, "the filter does nothing below this; all of it from a third octave above")
            .unit("Hz")
            .range(0, 384000),
        field("high_hz", &C::high_hz, "the filter does nothing above this; all of it up to a third octave below")
            .unit("Hz")
            .range(20, 384000),
        field("smoothing_octaves", &C::smoothing_octaves, "spectra are compared in bands this wide")
            .unit("octaves")
            .range(0.02, 3),
        field("max_boost_db", &C::max_boost_db, "the filter adds no more than this to a frequency")
            .unit("dB")
            .range(0, 60),
        field("max_cut_db", &C::max_cut_db, "the filter takes no more than this from a frequency")
            .unit("dB")
            .range(0, 120),
        field("max_dynamics_db", &C::max_dynamics_db, "dynamics move the level by no more than this")
            .unit("dB")
            .range(0, 60),
        field("noise_floor_db", &C::noise_floor_db,
              "a frequency at which the target is quieter than white noise of this level is not turned up")
            .unit("dB")
            .range(-200, 0),
        field("side_floor_db", &C::side_floor_db,
              "a frequency at which the target's side is this far below its mid is not widened; fully from 12 dB above")
            .unit("dB")
            .range(-200, 0),
        field("ceiling_dbtp", &C::ceiling_dbtp, "largest true peak of the result, between the samples too")
            .unit("dBTP")
            .range(-30, 0),
        field("look_ahead_ms", &C::look_ahead_ms, "the limiter turns down this long before a peak")
            .unit("ms")
            .range(0.1, 50),
        field("release_ms", &C::release_ms, "and up again: time of 10 to 90 %").unit("ms").range(1, 10000),
        field("max_limited_db", &C::max_limited_db,
              "the limiter is not driven further than this; a louder reference is then not met")
            .unit("dB")
            .range(0, 60),
        field("tolerance_lu", &C::tolerance_lu, "how close the limited result's loudness comes to the one wanted")
            .unit("LU")
            .range(0.01, 2),
    };
  }
};

inline constexpr std::array<std::string_view, 2> kMatchModes{"improved", "exact"};

struct MatchSettings {
  std::string mode = "improved";
  MatchConfig matching = {};
  ImprovedConfig improved = {};
  [[nodiscard]] bool is_exact() const { return mode == "exact"; }
  static constexpr auto fields() {
    using C = MatchSettings;
    return std::tuple{
        field("mode", &C::mode, "improved, or exact: Matchering 2.0.6's result sample by sample").choices(kMatchModes),
        field("matching", &C::matching, "as Matchering does it"),
        field("improved", &C::improved, "mode improved"),
    };
  }
};

}  // namespace melisma
