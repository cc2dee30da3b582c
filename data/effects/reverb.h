// A room: a feedback delay network.
#pragma once
#include <memory>
#include <tuple>

#include "data/effects/effect.h"
#include "tools/config/fields.h"

namespace melisma {

struct ReverbSettings {
  double decay_s = 1.5;
  double room_size = 0.5;
  double damping = 0.5;
  double pre_delay_ms = 10;
  double wet = 0.3;
  double dry = 0.8;
  double width = 1;
  static constexpr auto fields() {
    using C = ReverbSettings;
    return std::tuple{
        field("decay_s", &C::decay_s, "until low tones have lost 60 dB").unit("s").range(0.05, 60),
        field("room_size", &C::room_size, "0 = a closet, 1 = a hall: how far apart the echoes are").range(0, 1),
        field("damping", &C::damping, "0 = tiles, 1 = carpet: how much faster high tones fade").range(0, 1),
        field("pre_delay_ms", &C::pre_delay_ms, "before the room answers").unit("ms").range(0, 1000),
        field("wet", &C::wet, "loudness of the room; at 1 steady noise is about as loud in it as outside").range(0, 4),
        field("dry", &C::dry, "loudness of the sound itself").range(0, 4),
        field("width", &C::width, "of a stereo room; 0 = it answers the same on both sides").range(0, 1),
    };
  }
};

// Eight delay lines whose lengths share no factor, each damped by a one-pole low-pass and fed back through a
// Householder reflection (Jot and Chaigne 1991); two all-pass filters a channel in front make the echoes dense.
[[nodiscard]] std::unique_ptr<Effect> make_effect(const ReverbSettings& settings, const SignalShape& shape);

}  // namespace melisma
