// Where a parameter sheet comes from: a model that listened to parts of the song, or the loudness of its stems.
#pragma once
#include <cstdint>

#include "data/audio/waveform.h"
#include "infer/mixdown/mix_sheet.h"
#include "infer/mixdown/stem_store.h"
#include "models/mix/mix_model.h"

namespace melisma {

struct ListeningConfig {
  std::int64_t excerpts = 6;              // parts of the song that are listened to, evenly spread
  std::int64_t excerpt_samples = 128000;  // of each
};

// The model's parameters, each the mean over the parts of the song in which there is sound. `reference` is stereo or
// mono at the stems' rate; empty: none. Error(data) if the stems are silent throughout.
[[nodiscard]] MixSheet predicted_sheet(const MixModel& model, const MixModelConfig& config, const StemStore& stems,
                                       const Waveform& reference, const ListeningConfig& listening = {});

// Without a model: every stem as loud as the others, channels of stereo stems on their sides. Silent stems stay as they
// are.
[[nodiscard]] MixSheet equal_loudness_sheet(const StemStore& stems);

// Controls of the console, batch of one, as a sheet and back.
[[nodiscard]] MixSheet sheet_of(const ConsoleControls& controls, const StemStore& stems, PanLaw law);
[[nodiscard]] ConsoleControls controls_of(const MixSheet& sheet);

// Frames [first, first + count) of all channels, [1, T, count].
[[nodiscard]] at::Tensor excerpt_of_stems(const StemStore& stems, std::int64_t first, std::int64_t count);

// The most energetic frames [first, first + count) of a wave of one channel or two: [1, 2, count].
[[nodiscard]] at::Tensor loudest_part(const Waveform& wave, std::int64_t count);

}  // namespace melisma
