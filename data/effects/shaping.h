// Effects that look at one sample at a time: gain, distortion, clipping, bitcrush.
#pragma once
#include <memory>
#include <tuple>

#include "data/effects/effect.h"
#include "tools/config/fields.h"

namespace melisma {

struct GainSettings {
  double gain_db = 0;
  static constexpr auto fields() {
    return std::tuple{field("gain_db", &GainSettings::gain_db, "how much louder").unit("dB").range(-120, 60)};
  }
};

// tanh(drive * x): quiet sounds are made louder by the drive, loud ones bend towards full scale.
struct DistortionSettings {
  double drive_db = 25;
  static constexpr auto fields() {
    return std::tuple{field("drive_db", &DistortionSettings::drive_db, "gain into the bend").unit("dB").range(0, 60)};
  }
};

struct ClippingSettings {
  double threshold_db = -6;
  static constexpr auto fields() {
    return std::tuple{
        field("threshold_db", &ClippingSettings::threshold_db, "samples are cut off here").unit("dB").range(-96, 0)};
  }
};

struct BitcrushSettings {
  int bits = 8;
  static constexpr auto fields() {
    return std::tuple{
        field("bits", &BitcrushSettings::bits, "of a sample: 2^bits levels from -1 to just below 1").range(1, 24)};
  }
};

[[nodiscard]] std::unique_ptr<Effect> make_effect(const GainSettings& settings, const SignalShape& shape);
[[nodiscard]] std::unique_ptr<Effect> make_effect(const DistortionSettings& settings, const SignalShape& shape);
[[nodiscard]] std::unique_ptr<Effect> make_effect(const ClippingSettings& settings, const SignalShape& shape);
[[nodiscard]] std::unique_ptr<Effect> make_effect(const BitcrushSettings& settings, const SignalShape& shape);

}  // namespace melisma
