#include "infer/match/stereo.h"

#include <cmath>

#include "tools/base/error.h"

namespace melisma {

StereoSignal stereo_of(const Waveform& wave) {
  if (wave.n_channels < 1 || wave.n_channels > 2) {
    fail(ErrorKind::data, "{} channels, expected one or two; mix them down first", wave.n_channels);
  }
  for (std::size_t i = 0; i < wave.samples.size(); ++i) {
    if (std::isfinite(wave.samples[i])) continue;
    const auto frames = static_cast<std::size_t>(wave.n_frames());
    fail(ErrorKind::data, "sample {} of channel {} is not finite; repair the recording or cut that part out",
         i % frames, i / frames);
  }
  const auto left = wave.channel(0), right = wave.channel(wave.n_channels - 1);
  return {{left.begin(), left.end()}, {right.begin(), right.end()}, wave.sample_rate_hz};
}

}  // namespace melisma
