// Effects that follow the level: compressor, noise gate. All channels get the gain that the loudest asks for, so that
// the stereo image stands still.
#pragma once
#include <memory>
#include <tuple>

#include "data/effects/effect.h"
#include "tools/config/fields.h"

namespace melisma {

struct CompressorSettings {
  double threshold_db = -18;
  double ratio = 4;
  double attack_ms = 5;
  double release_ms = 100;
  double knee_db = 6;
  double makeup_db = 0;
  static constexpr auto fields() {
    using C = CompressorSettings;
    return std::tuple{
        field("threshold_db", &C::threshold_db, "louder samples are turned down").unit("dB").range(-100, 0),
        field("ratio", &C::ratio, "dB above the threshold that become one; 1 = none is lost").range(1, 1000),
        field("attack_ms", &C::attack_ms, "turning down: time of 10 to 90 %").unit("ms").range(0.01, 1000),
        field("release_ms", &C::release_ms, "turning up again: time of 10 to 90 %").unit("ms").range(0.01, 10000),
        field("knee_db", &C::knee_db, "width of the bend at the threshold").unit("dB").range(0, 40),
        field("makeup_db", &C::makeup_db, "how much louder all of it").unit("dB").range(-40, 40),
    };
  }
};

// What a compressor does to the level, sample by sample: the soft-knee curve, and one-pole smoothing in dB with a time
// constant for falling and one for rising gain (Giannoulis, Massberg, Reiss 2012, "smooth branching").
class CompressorGain {
 public:
  CompressorGain(const CompressorSettings& settings, std::int64_t sample_rate_hz);
  // The gain in dB, 0 or below, without makeup, after a sample of absolute value `level`.
  double next_db(double level);
  // Where the curve ends up: the gain in dB for a level that lasts.
  [[nodiscard]] double settled_db(double level_db) const;

 private:
  double threshold_db_, slope_, knee_db_, idle_level_, attack_, release_;
  double gain_db_ = 0;
};

struct NoiseGateSettings {
  double threshold_db = -50;
  double range_db = 60;
  double attack_ms = 1;
  double hold_ms = 50;
  double release_ms = 100;
  static constexpr auto fields() {
    using C = NoiseGateSettings;
    return std::tuple{
        field("threshold_db", &C::threshold_db, "the gate is open while samples are louder").unit("dB").range(-120, 0),
        field("range_db", &C::range_db, "how much quieter a closed gate is").unit("dB").range(0, 120),
        field("attack_ms", &C::attack_ms, "opening: time of 10 to 90 %").unit("ms").range(0.01, 1000),
        field("hold_ms", &C::hold_ms, "stays open this long after the last loud sample").unit("ms").range(0, 10000),
        field("release_ms", &C::release_ms, "closing: time of 10 to 90 %").unit("ms").range(0.01, 10000),
    };
  }
};

[[nodiscard]] std::unique_ptr<Effect> make_effect(const CompressorSettings& settings, const SignalShape& shape);
[[nodiscard]] std::unique_ptr<Effect> make_effect(const NoiseGateSettings& settings, const SignalShape& shape);

}  // namespace melisma
