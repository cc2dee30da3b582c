// Every effect there is: one row a name. A chain is a TOML file that lists some of them in order.
#pragma once
#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/effects/convolution.h"
#include "data/effects/dynamics.h"
#include "data/effects/echoes.h"
#include "data/effects/effect.h"
#include "data/effects/equalizer.h"
#include "data/effects/ladder.h"
#include "data/effects/limiter.h"
#include "data/effects/pitch_shift.h"
#include "data/effects/rates.h"
#include "data/effects/reverb.h"
#include "data/effects/shaping.h"
#include "tools/config/schema.h"

namespace melisma {

// Settings of one effect, and the effect they make.
class EffectDraft {
 public:
  virtual ~EffectDraft() = default;
  [[nodiscard]] virtual Schema schema() = 0;  // refers to the draft
  [[nodiscard]] virtual std::unique_ptr<Effect> make(const SignalShape& shape) const = 0;
};

template <HasFields Settings>
std::unique_ptr<EffectDraft> draft_of() {
  class Draft final : public EffectDraft {
   public:
    Schema schema() override { return schema_of(settings_); }
    [[nodiscard]] std::unique_ptr<Effect> make(const SignalShape& shape) const override {
      return make_effect(settings_, shape);
    }

   private:
    Settings settings_;
  };
  return std::make_unique<Draft>();
}

struct EffectRow {
  std::string_view name, summary;
  std::unique_ptr<EffectDraft> (*draft)();
};

inline constexpr std::array kEffects{
    EffectRow{"gain", "louder or quieter", draft_of<GainSettings>},
    EffectRow{"limiter", "no peak above a ceiling, seen before it comes", draft_of<LimiterSettings>},
    EffectRow{"compressor", "loud sounds turned down, smoothly", draft_of<CompressorSettings>},
    EffectRow{"noise-gate", "silence where there is next to nothing", draft_of<NoiseGateSettings>},
    EffectRow{"eq-peak", "a bell around a frequency", draft_of<PeakSettings>},
    EffectRow{"low-shelf", "everything below a frequency", draft_of<LowShelfSettings>},
    EffectRow{"high-shelf", "everything above a frequency", draft_of<HighShelfSettings>},
    EffectRow{"high-pass", "nothing below a frequency", draft_of<HighPassSettings>},
    EffectRow{"low-pass", "nothing above a frequency", draft_of<LowPassSettings>},
    EffectRow{"ladder", "four resonant poles, as of early synthesizers", draft_of<LadderSettings>},
    EffectRow{"reverb", "a room", draft_of<ReverbSettings>},
    EffectRow{"convolution", "a recorded room, loudspeaker or body", draft_of<ConvolutionSettings>},
    EffectRow{"delay", "echoes", draft_of<DelaySettings>},
    EffectRow{"chorus", "copies a little out of time", draft_of<ChorusSettings>},
    EffectRow{"phaser", "notches that wander", draft_of<PhaserSettings>},
    EffectRow{"distortion", "an overdriven amplifier: tanh", draft_of<DistortionSettings>},
    EffectRow{"clipping", "samples cut off at a level", draft_of<ClippingSettings>},
    EffectRow{"bitcrush", "few bits a sample", draft_of<BitcrushSettings>},
    EffectRow{"resample", "to a lower rate and back", draft_of<ResampleSettings>},
    EffectRow{"pitch-shift", "other pitch, same speed", draft_of<PitchShiftSettings>},
    EffectRow{"formant-shift", "other formants, same pitch", draft_of<FormantShiftSettings>},
    EffectRow{"mp3", "encoded as MP3 and decoded again", draft_of<Mp3Settings>},
};

// Every setting of every effect, as "name.setting".
class AllEffectSettings {
 public:
  AllEffectSettings();
  [[nodiscard]] Schema schema();

 private:
  std::vector<std::unique_ptr<EffectDraft>> drafts_;
};

// Effects in the order in which a chain's file lists them:
//
//   [[effect]]
//   name = "high-pass"
//   frequency_hz = 80
//   [[effect]]
//   name = "compressor"
//   threshold_db = -24
//   ratio = 3
class EffectChain {
 public:
  // Throws Error(config) with every problem of the file at once: unknown effects and settings (with did-you-mean),
  // wrong types, values out of range, each with file:line:column.
  static EffectChain read(const std::filesystem::path& file);

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  // The effects one behind the other, as one. Throws Error(config) naming the effect whose settings do not suit the
  // rate or the channels. Paths in settings begin at the chain's folder.
  [[nodiscard]] std::unique_ptr<Effect> make(std::int64_t sample_rate_hz, std::int64_t n_channels) const;

 private:
  std::filesystem::path file_;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<EffectDraft>> drafts_;
};

}  // namespace melisma
