// Other pitch at the same speed, other formants at the same pitch.
#pragma once
#include <memory>
#include <tuple>

#include "data/effects/effect.h"
#include "tools/config/fields.h"

namespace melisma {

struct PitchShiftSettings {
  double semitones = 0;
  static constexpr auto fields() {
    return std::tuple{
        field("semitones", &PitchShiftSettings::semitones, "how much higher; formants go along").range(-24, 24)};
  }
};

struct FormantShiftSettings {
  double ratio = 1;
  static constexpr auto fields() {
    return std::tuple{field("ratio", &FormantShiftSettings::ratio,
                            "formant frequencies times this; above 1 as of a smaller speaker, the pitch stays")
                          .range(0.4, 2.5)};
  }
};

// A phase vocoder stretches the signal, keeping the phases around each spectral peak together (Laroche and Dolson 1999,
// identity phase locking), and resampling brings it back to its length. Frames of about 46 ms.
[[nodiscard]] std::unique_ptr<Effect> make_effect(const PitchShiftSettings& settings, const SignalShape& shape);

// Moves each frame's spectral envelope and leaves its harmonics where they are. The envelope is the one that rests on
// the harmonics (cepstral smoothing repeated until nothing stands out: Imai and Abe 1979, Röbel and Rodet 2005), as
// fine as the frame's own pitch allows. For voices: frames of 32 to 64 ms, one source at a time.
[[nodiscard]] std::unique_ptr<Effect> make_effect(const FormantShiftSettings& settings, const SignalShape& shape);

}  // namespace melisma
