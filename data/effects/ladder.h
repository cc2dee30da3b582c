// The ladder filter of the early synthesizers: four equal poles in a row, and feedback around them.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>

#include "data/effects/effect.h"
#include "tools/config/fields.h"

namespace melisma {

inline constexpr std::array kLadderModes{std::string_view("low-pass-12"),  std::string_view("low-pass-24"),
                                         std::string_view("high-pass-12"), std::string_view("high-pass-24"),
                                         std::string_view("band-pass-12"), std::string_view("band-pass-24")};

struct LadderSettings {
  std::string mode = "low-pass-24";
  double frequency_hz = 1000;
  double resonance = 0;
  double drive_db = 0;
  static constexpr auto fields() {
    using C = LadderSettings;
    return std::tuple{
        field("mode", &C::mode, "what passes, and how many dB an octave the rest loses").choices(kLadderModes),
        field("frequency_hz", &C::frequency_hz, "corner of the poles").unit("Hz").range(1, 192000),
        field("resonance", &C::resonance, "feedback; at 1 it is about to whistle").range(0, 1),
        field("drive_db", &C::drive_db, "gain into a tanh in front of the poles; 0 = no bend").unit("dB").range(0, 40),
    };
  }
};

// The poles are solved together with their feedback (no delay in the loop; Zavalishin, "The Art of VA Filter Design"),
// so corner and resonance are where they are set. The low-pass passes direct current at 0 dB whatever the resonance.
// Throws Error(config) for a frequency that is not below half the sample rate.
[[nodiscard]] std::unique_ptr<Effect> make_effect(const LadderSettings& settings, const SignalShape& shape);

}  // namespace melisma
