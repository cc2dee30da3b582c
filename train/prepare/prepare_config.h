// The settings of `melisma prepare`: how recordings become clips, which features are made, what is held out.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "data/audio/fate.h"
#include "data/audio/normalise.h"
#include "data/audio/slicing.h"
#include "infer/features/content.h"
#include "infer/features/pitch.h"
#include "tools/config/fields.h"

namespace melisma {

inline constexpr std::array kWaveStorageNames{std::string_view("int16"), std::string_view("float32")};

struct PrepareConfig {
  std::int64_t sample_rate_hz = 40000;
  bool highpass = true;
  std::string normalise = "post";
  SlicingConfig slicing;
  FateConfig fate;
  std::string storage = "int16";
  double validation_share = 0.1;
  double test_share = 0.1;
  std::int64_t seed = 0;
  bool with_pitch = true;
  PitchConfig pitch;
  bool with_content = true;
  ContentConfig content;
  static constexpr auto fields() {
    using C = PrepareConfig;
    return std::tuple{
        field("sample_rate_hz", &C::sample_rate_hz, "rate of the dataset; the voice is trained at it")
            .unit("Hz")
            .range(16000, 48000),
        field("highpass", &C::highpass, "remove rumble below 48 Hz (Butterworth, order 5)"),
        field("normalise", &C::normalise, "level recordings before cutting (pre) or each slice (post)")
            .choices(kNormaliseModeNames),
        field("slicing", &C::slicing, "how recordings are cut"),
        field("fate", &C::fate, "which recordings and slices are of use"),
        field("storage", &C::storage, "how samples are kept").choices(kWaveStorageNames),
        field("validation_share", &C::validation_share, "share of the recordings held out for validation")
            .range(0, 0.5),
        field("test_share", &C::test_share, "share of the recordings held out for the final test").range(0, 0.5),
        field("seed", &C::seed, "chooses which recordings are held out").at_least(0),
        field("with_pitch", &C::with_pitch, "make pitch features"),
        field("pitch", &C::pitch, "how pitch is found"),
        field("with_content", &C::with_content, "make content features"),
        field("content", &C::content, "what content features are made of"),
    };
  }
};

}  // namespace melisma
