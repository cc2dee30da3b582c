// A voice as it is to be stored: posterior encoder dropped, weight norm folded or not, each tensor in its type, and
// what that costs. Tensors are converted one by one when they are written.
#pragma once
#include <string_view>
#include <vector>

#include "models/rvc/voice_model.h"
#include "models/weights/model_file.h"
#include "models/weights/quantize.h"

namespace melisma {

struct VoiceExportOptions {
  std::string_view type = "fp32";  // "fp32", "fp16", "bf16", "int8"
  bool fold = false;               // int8 always folds: a scale belongs to the weight that is multiplied
  double least_snr_db = 30;        // int8 layers that keep less stay fp16
};

struct VoiceExport {
  std::vector<TensorToWrite> tensors;
  std::vector<LayerQuality> layers;  // of every weight with more than one dimension; empty for fp32
};

// Plans the export of an RVC voice with float weights. Making a tensor throws Error(checkpoint) if it is not finite, or
// too large for fp16. For int8 every layer is quantized once here to measure it, and again when it is written.
[[nodiscard]] VoiceExport export_voice(const ModelFile& voice, const VoiceExportOptions& options);

// The exported tensors as a model file in memory, for listening to what they became.
[[nodiscard]] ModelFile exported_model(const ModelFile& voice, const VoiceExport& exported, std::string_view type);

}  // namespace melisma
