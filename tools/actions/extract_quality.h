// What an export costs: layer by layer, and in the audio it makes of held-out clips.
#pragma once
#include <nlohmann/json.hpp>

#include "data/sets/dataset.h"
#include "models/rvc/voice_export.h"
#include "models/weights/model_file.h"

namespace melisma {

// {"dtype", "tensor_bytes", "tensor_bytes_fp32", "layers": [{"name", "stored_as", "snr_db", "reason"}], "worst_layer"}
[[nodiscard]] nlohmann::ordered_json layer_report(const VoiceExport& exported, std::string_view type);

// Both voices resynthesise up to `n_clips` validation clips (0 = all) with the same noise:
// {"dataset", "clips", "seconds", "waveform_snr_db", "mel_distance_to_fp32", "mel_distance_to_recording",
//  "mel_distance_to_recording_fp32", "realtime_factor", "realtime_factor_fp32"}; means over clips, factors in seconds
//  of
// audio a second.
[[nodiscard]] nlohmann::ordered_json held_out_report(const ModelFile& reference, const ModelFile& exported,
                                                     const Dataset& dataset, std::int64_t n_clips);

}  // namespace melisma
