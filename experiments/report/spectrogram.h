// A picture of a sound: its mel spectrogram as a PNG.
#pragma once
#include <cstdint>
#include <string>

#include "data/audio/waveform.h"

namespace melisma {

struct SpectrogramConfig {
  std::int64_t columns = 480, rows = 120;  // pixels at most (columns) and exactly (rows)
  double highest_hz = 11025;               // or Nyquist, whichever is less; rows are equal steps of mel from 0 Hz
  double range_db = 70;                    // below the loudest point of the sound
};

// PNG bytes; time runs to the right, frequency upwards. The first channel is shown. A sound shorter than one window is
// padded with silence.
[[nodiscard]] std::string spectrogram_png(const Waveform& wave, const SpectrogramConfig& config = {});

}  // namespace melisma
