// RVC voices in the files of other programs: from Applio's and RVC-WebUI's .pth to a model file, and back.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "models/rvc/voice_model.h"
#include "models/weights/model_file.h"
#include "models/weights/pickle_value.h"

namespace melisma {

// Of a foreign voice model or training checkpoint the family, configuration and sample rate are worked out from its
// 18-item list or its shapes; a native file says them itself. Every tensor's shape is checked against them.
// `sample_rate_hz` is that of a checkpoint whose tensors do not tell it (RefineGAN); 0 = not known. Throws
// Error(checkpoint) saying what is missing or does not fit. Reads no tensor's values.
[[nodiscard]] ModelFile as_rvc_voice(ModelFile file, std::int64_t sample_rate_hz = 0);

// What as_rvc_voice() must be told of the checkpoint `path`: the sample rate that config.json in its folder says; 0
// where the file tells it itself or there is none. Throws Error(checkpoint) if that cannot be understood.
[[nodiscard]] std::int64_t rate_beside(const std::filesystem::path& path, const ModelFile& file);

// read_model and as_rvc_voice, weights as floats (int8 undone) and checked to be finite: a voice ready to be built.
[[nodiscard]] ModelFile read_rvc_voice(const std::filesystem::path& path);

// Throws Error(checkpoint) naming the tensor if any holds NaN or infinity.
void check_finite(const std::string& name, const at::Tensor& tensor);

// Why Applio cannot run this RefineGAN voice, whose widths it does not let anybody choose; empty if it can.
[[nodiscard]] std::string misfit_of_refinegan(const RvcConfig& config);

// "v1" for 256 content channels, "v2" for 768; Error(usage) for others, which the RVC tools cannot run.
[[nodiscard]] std::string rvc_content_version(const RvcConfig& config);
// The same of a voice that they can run as it is; Error(usage) for misfit_of_refinegan(), too.
[[nodiscard]] std::string rvc_tool_version(const RvcConfig& config);

// The 18-item list [bins, 32, inter, ..., sample rate] as JSON; what the RVC tools call config.
[[nodiscard]] std::string rvc_tool_config(const RvcConfig& config);

// The contents of a voice-model .pth that Applio and (with vocoder hifigan) RVC-WebUI read: weight, config, info, sr,
// f0, version and what Applio adds. `tensors` are the weights, weight norm unfolded; `name` is the model's name in it,
// `created` an ISO time.
[[nodiscard]] PickleValue rvc_tool_voice(const ModelFile& model, std::vector<TensorToWrite> tensors,
                                         const std::string& name, const std::string& created);

}  // namespace melisma
