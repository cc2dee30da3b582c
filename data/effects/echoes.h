// Effects of delayed copies: delay, chorus, phaser.
#pragma once
#include <memory>
#include <tuple>

#include "data/effects/effect.h"
#include "tools/config/fields.h"

namespace melisma {

struct DelaySettings {
  double time_ms = 500;
  double feedback = 0;
  double mix = 0.5;
  static constexpr auto fields() {
    using C = DelaySettings;
    return std::tuple{
        field("time_ms", &C::time_ms, "from a sound to its echo, to the nearest sample").unit("ms").range(0.1, 60000),
        field("feedback", &C::feedback, "loudness of each echo against the one before").range(0, 0.99),
        field("mix", &C::mix, "share of the echoes; the rest is the sound itself").range(0, 1),
    };
  }
};

struct ChorusSettings {
  double rate_hz = 1;
  double centre_ms = 7;
  double depth_ms = 2;
  int voices = 1;
  double feedback = 0;
  double mix = 0.5;
  static constexpr auto fields() {
    using C = ChorusSettings;
    return std::tuple{
        field("rate_hz", &C::rate_hz, "how often a copy goes to and fro").unit("Hz").range(0, 100),
        field("centre_ms", &C::centre_ms, "mean delay of the copies").unit("ms").range(1, 200),
        field("depth_ms", &C::depth_ms, "how far they go to each side; at most the mean delay less half a millisecond")
            .unit("ms")
            .range(0, 200),
        field("voices", &C::voices, "copies, evenly spread over the to and fro").range(1, 8),
        field("feedback", &C::feedback, "share of the copies that is copied again").range(0, 0.95),
        field("mix", &C::mix, "share of the copies; the rest is the sound itself").range(0, 1),
    };
  }
};

struct PhaserSettings {
  double rate_hz = 0.5;
  double low_hz = 300;
  double high_hz = 3000;
  int stages = 6;
  double feedback = 0;
  double mix = 0.5;
  static constexpr auto fields() {
    using C = PhaserSettings;
    return std::tuple{
        field("rate_hz", &C::rate_hz, "how often the notches go up and down").unit("Hz").range(0, 100),
        field("low_hz", &C::low_hz, "lowest corner of the all-pass stages").unit("Hz").range(1, 192000),
        field("high_hz", &C::high_hz, "highest; the same as the lowest = the notches stand still")
            .unit("Hz")
            .range(1, 192000),
        field("stages", &C::stages, "all-pass filters in a row; two make a notch").range(2, 24),
        field("feedback", &C::feedback, "share of the stages' output that goes through them again").range(0, 0.95),
        field("mix", &C::mix, "share of the stages' output; notches are deepest at 0.5").range(0, 1),
    };
  }
};

[[nodiscard]] std::unique_ptr<Effect> make_effect(const DelaySettings& settings, const SignalShape& shape);
// Copies of the channels go to and fro a quarter of a turn apart: a stereo signal widens. Throws Error(config) for a
// depth that would reach the future.
[[nodiscard]] std::unique_ptr<Effect> make_effect(const ChorusSettings& settings, const SignalShape& shape);
// Throws Error(config) for corners out of order or not below half the sample rate.
[[nodiscard]] std::unique_ptr<Effect> make_effect(const PhaserSettings& settings, const SignalShape& shape);

}  // namespace melisma
