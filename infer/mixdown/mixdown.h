// A parameter sheet played over stems of any length: the console of models/mix as a stream.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "data/audio/waveform.h"
#include "infer/mixdown/mix_sheet.h"
#include "infer/mixdown/stem_store.h"
#include "models/mix/mix_model.h"

namespace melisma {

// Gets the mix piece by piece, stereo.
using MixReceiver = std::function<void(const Waveform& block)>;

// The mix lines up with the stems and is as long as the longest of them. `progress` gets the frames that are done.
// What Console::mix_in_time() makes of the same parameters, but for the ends of responses that wrap there.
void play_sheet(const StemStore& stems, const MixSheet& sheet, const MixReceiver& receive,
                const std::function<void(std::int64_t)>& progress = {});

// The same for a model that makes the mix itself: blocks crossed over by Hann windows.
void play_model(const StemStore& stems, const MixModel& model, const MixReceiver& receive,
                const std::function<void(std::int64_t)>& progress = {});

}  // namespace melisma
