// Settings of reference matching; the defaults are those of Matchering 2.0.6.
#pragma once
#include <cstdint>
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
        field("sample_rate_hz", &C::sample_rate_hz, "everything is resampled to this").unit("Hz").range(8000, 384000),
        field("max_seconds", &C::max_seconds, "longer recordings are refused").unit("s").range(1, 86400),
        field("max_piece_s", &C::max_piece_s, "levels are measured over equal pieces shorter than this")
            .unit("s")
            .range(1, 600),
        field("threshold", &C::threshold, "the limiter's ceiling, of full scale").range(0.01, 1),
        field("min_value", &C::min_value, "least level and least spectral magnitude divided by").range(1e-12, 1e-2),
        field("fft_size", &C::fft_size, "length of spectra and of the filter; a power of two")
            .unit("samples")
            .range(256, 65536),
        field("oversampling", &C::oversampling, "points of the logarithmic grid for each linear one").range(1, 32),
        field("corrections", &C::corrections, "rounds of level correction after the filter").range(0, 32),
        field("lowess_share", &C::lowess_share, "share of the grid that a smoothed point hears").range(0.001, 1),
        field("lowess_rounds", &C::lowess_rounds, "robust rounds of the smoothing").range(0, 10),
        field("lowess_delta", &C::lowess_delta, "points closer than this are interpolated").range(0, 0.1),
        field("limiter", &C::limiter, "the limiter at the end"),
    };
  }
};

}  // namespace melisma
