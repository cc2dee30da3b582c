#include "infer/features/mono16k.h"

#include "data/audio/resample.h"
#include "infer/features/pitch.h"

namespace melisma {

std::vector<float> mono_at_16k(const Waveform& wave) {
  const auto n = wave.n_frames();
  std::vector<float> mono(wave.channel(0).begin(), wave.channel(0).end());
  if (wave.n_channels > 1) {
    for (std::int64_t i = 0; i < n; ++i) {
      double sum = 0;
      for (std::int64_t c = 0; c < wave.n_channels; ++c) sum += wave.channel(c)[static_cast<std::size_t>(i)];
      mono[static_cast<std::size_t>(i)] = static_cast<float>(sum / static_cast<double>(wave.n_channels));
    }
  }
  if (wave.sample_rate_hz == kFeatureRateHz) return mono;
  return resample(mono, wave.sample_rate_hz, kFeatureRateHz);
}

}  // namespace melisma
