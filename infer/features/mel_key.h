// What the mel spectrograms of songs are filed under in a dataset.
#pragma once
#include <cstdint>

#include "data/sets/dataset.h"
#include "models/mix/mix_config.h"
#include "tools/config/config.h"

namespace melisma {

// Counts changes of the code that change the spectrograms of equal settings.
inline constexpr int kMelRevision = 1;

// Kind "mel", canonical JSON with the rate: rows of mix_mel_db() of the mean of a track's channels.
[[nodiscard]] inline FeatureKey mel_key(MixMelConfig mel, std::int64_t sample_rate_hz) {
  auto parameters = to_json(schema_of(mel));
  parameters["sample_rate_hz"] = sample_rate_hz;
  parameters["revision"] = kMelRevision;
  return {"mel", parameters.dump()};
}

}  // namespace melisma
