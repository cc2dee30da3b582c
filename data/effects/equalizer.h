// Effects that are filters: a bell, shelves, high-pass and low-pass.
#pragma once
#include <memory>
#include <tuple>

#include "data/effects/effect.h"
#include "tools/config/fields.h"

namespace melisma {

struct PeakSettings {
  double frequency_hz = 1000;
  double gain_db = 0;
  double q = 0.7071067811865476;
  static constexpr auto fields() {
    using C = PeakSettings;
    return std::tuple{
        field("frequency_hz", &C::frequency_hz, "centre of the bell").unit("Hz").range(1, 192000),
        field("gain_db", &C::gain_db, "at the centre").unit("dB").range(-60, 60),
        field("q", &C::q, "centre over width: larger is narrower").range(0.05, 100),
    };
  }
};

struct ShelfSettings {
  double frequency_hz = 1000;
  double gain_db = 0;
  double q = 0.7071067811865476;
  static constexpr auto fields() {
    using C = ShelfSettings;
    return std::tuple{
        field("frequency_hz", &C::frequency_hz, "where half of the dB are reached").unit("Hz").range(1, 192000),
        field("gain_db", &C::gain_db, "of the shelf").unit("dB").range(-60, 60),
        field("q", &C::q, "steepness; above 0.71 it overshoots").range(0.05, 10),
    };
  }
};
struct LowShelfSettings : ShelfSettings {
  LowShelfSettings() : ShelfSettings{.frequency_hz = 200} {}
};
struct HighShelfSettings : ShelfSettings {
  HighShelfSettings() : ShelfSettings{.frequency_hz = 5000} {}
};

struct PassSettings {
  double frequency_hz = 1000;
  int order = 2;
  static constexpr auto fields() {
    using C = PassSettings;
    return std::tuple{
        field("frequency_hz", &C::frequency_hz, "the corner, where 3 dB are lost").unit("Hz").range(1, 192000),
        field("order", &C::order, "each loses another 6 dB an octave (Butterworth)").range(1, 16),
    };
  }
};
struct HighPassSettings : PassSettings {
  HighPassSettings() : PassSettings{.frequency_hz = 50} {}
};
struct LowPassSettings : PassSettings {
  LowPassSettings() : PassSettings{.frequency_hz = 5000} {}
};

// Throw Error(config) for a frequency that is not below half the sample rate.
[[nodiscard]] std::unique_ptr<Effect> make_effect(const PeakSettings& settings, const SignalShape& shape);
[[nodiscard]] std::unique_ptr<Effect> make_effect(const LowShelfSettings& settings, const SignalShape& shape);
[[nodiscard]] std::unique_ptr<Effect> make_effect(const HighShelfSettings& settings, const SignalShape& shape);
[[nodiscard]] std::unique_ptr<Effect> make_effect(const HighPassSettings& settings, const SignalShape& shape);
[[nodiscard]] std::unique_ptr<Effect> make_effect(const LowPassSettings& settings, const SignalShape& shape);

}  // namespace melisma
