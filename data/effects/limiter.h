// The limiter: sees a peak coming, and is quiet in time.
#pragma once
#include <memory>
#include <tuple>

#include "data/effects/effect.h"
#include "tools/config/fields.h"

namespace melisma {

struct LimiterSettings {
  double ceiling_db = -1;
  double gain_db = 0;
  double look_ahead_ms = 3;
  double release_ms = 100;
  bool true_peak = true;
  static constexpr auto fields() {
    using C = LimiterSettings;
    return std::tuple{
        field("ceiling_db", &C::ceiling_db, "no sample is louder").unit("dB").range(-60, 0),
        field("gain_db", &C::gain_db, "into the limiter").unit("dB").range(-60, 60),
        field("look_ahead_ms", &C::look_ahead_ms, "turning down begins this long before the peak")
            .unit("ms")
            .range(0.1, 50),
        field("release_ms", &C::release_ms, "turning up again: time of 10 to 90 %").unit("ms").range(1, 10000),
        field("true_peak", &C::true_peak,
              "also between the samples (four-fold oversampled), to a tenth of a dB below the ceiling"),
    };
  }
};

// The gain a peak needs is held for the look-ahead and averaged over it, so it is reached when the peak comes out,
// whatever the signal: samples at the ceiling are exact, not approximate. Channels are linked.
[[nodiscard]] std::unique_ptr<Effect> make_effect(const LimiterSettings& settings, const SignalShape& shape);

}  // namespace melisma
