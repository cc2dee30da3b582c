// Effects of a file's way through other formats: resampling, MP3.
#pragma once
#include <memory>
#include <tuple>

#include "data/effects/effect.h"
#include "tools/config/fields.h"

namespace melisma {

struct ResampleSettings {
  std::int64_t rate_hz = 8000;
  static constexpr auto fields() {
    return std::tuple{
        field("rate_hz", &ResampleSettings::rate_hz, "to this rate and back: above half of it nothing is left")
            .unit("Hz")
            .range(100, 384000)};
  }
};

struct Mp3Settings {
  int bitrate_kbps = 128;
  static constexpr auto fields() {
    return std::tuple{
        field("bitrate_kbps", &Mp3Settings::bitrate_kbps, "constant bit rate of the encoder; the nearest there is")
            .unit("kbit/s")
            .range(8, 320)};
  }
};

[[nodiscard]] std::unique_ptr<Effect> make_effect(const ResampleSettings& settings, const SignalShape& shape);
// Encoded and decoded by libsndfile (LAME and mpg123); the encoder's delay is taken out. The encoded file is kept in
// memory. Throws Error(config) for a rate or channels that MP3 does not have, or a libsndfile without it.
[[nodiscard]] std::unique_ptr<Effect> make_effect(const Mp3Settings& settings, const SignalShape& shape);

}  // namespace melisma
