#include "data/effects/shaping.h"

#include <cmath>

#include "data/effects/decibels.h"

namespace melisma {
namespace {

// f of each sample.
template <class Function>
class Shaper final : public InPlaceEffect {
 public:
  explicit Shaper(Function function) : function_(function) {}

 private:
  void change(Waveform& block) override {
    for (float& sample : block.samples) sample = function_(sample);
  }
  Function function_;
};

template <class Function>
std::unique_ptr<Effect> shaper(Function function) {
  return std::make_unique<Shaper<Function>>(function);
}

}  // namespace

std::unique_ptr<Effect> make_effect(const GainSettings& settings, const SignalShape&) {
  return shaper([gain = static_cast<float>(factor_of_db(settings.gain_db))](float x) { return gain * x; });
}

std::unique_ptr<Effect> make_effect(const DistortionSettings& settings, const SignalShape&) {
  return shaper(
      [drive = static_cast<float>(factor_of_db(settings.drive_db))](float x) { return std::tanh(drive * x); });
}

std::unique_ptr<Effect> make_effect(const ClippingSettings& settings, const SignalShape&) {
  return shaper([limit = static_cast<float>(factor_of_db(settings.threshold_db))](float x) {
    return std::clamp(x, -limit, limit);
  });
}

std::unique_ptr<Effect> make_effect(const BitcrushSettings& settings, const SignalShape&) {
  return shaper([scale = std::ldexp(1.0F, settings.bits - 1)](float x) {
    return std::clamp(std::nearbyint(x * scale), -scale, scale - 1) / scale;
  });
}

}  // namespace melisma
