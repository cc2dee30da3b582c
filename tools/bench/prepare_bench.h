// `melisma bench prepare`: how fast recordings become a dataset, by stage and against the RVC tools' preprocessing.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "data/audio/waveform.h"

namespace melisma {

struct StageCost {
  std::string name;
  double cpu_seconds = 0;
};

// A mono recording that resembles speech in what matters for cost: phrases of a gliding harmonic tone with noise, and
// pauses long enough to be cut out.
[[nodiscard]] Waveform speech_like_recording(double seconds, std::int64_t sample_rate_hz);

// CPU seconds of each stage of preparing `file` at `rate_hz`, alone and in this process; the cheapest of `repeats`
// runs.
[[nodiscard]] std::vector<StageCost> measure_prepare_stages(const std::filesystem::path& file, std::int64_t rate_hz,
                                                            int repeats);

}  // namespace melisma
