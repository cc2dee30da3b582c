// Convolution with a recorded room, loudspeaker or instrument body.
#pragma once
#include <memory>
#include <string>
#include <tuple>

#include "data/effects/effect.h"
#include "tools/config/fields.h"

namespace melisma {

struct ConvolutionSettings {
  std::string impulse;
  double gain_db = 0;
  bool normalise = true;
  double mix = 1;
  static constexpr auto fields() {
    using C = ConvolutionSettings;
    return std::tuple{
        field("impulse", &C::impulse,
              "audio file of the impulse response, from the chain's folder; one channel for all, or one each"),
        field("gain_db", &C::gain_db, "of the convolved sound").unit("dB").range(-60, 60),
        field("normalise", &C::normalise, "scale the response so that white noise keeps its loudness"),
        field("mix", &C::mix, "share of the convolved sound; the rest is the sound itself").range(0, 1),
    };
  }
};

// The response is resampled to the signal's rate. Computed in partitions through the Fourier transform (uniformly
// partitioned overlap-save). Throws Error(data) for a file that cannot be read or holds only silence, Error(config) if
// none is named or its channels do not fit.
[[nodiscard]] std::unique_ptr<Effect> make_effect(const ConvolutionSettings& settings, const SignalShape& shape);

}  // namespace melisma
