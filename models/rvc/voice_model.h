// An RVC model file and the network it describes: the configuration in its JSON, and building the synthesizer from it.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "models/rvc/synthesizer.h"
#include "models/weights/model_file.h"

namespace melisma {

// ModelFile.config of family "rvc" as JSON: the fields of RvcConfig, and what the network must be fed with:
//   "content": {...}, "pitch": {...}   parameters of the features it was trained on, as a dataset files them (canonical
//   JSON) "speaker_names": ["mara", "joel"]  names of the first rows of the speaker table
struct RvcVoiceConfig {
  RvcConfig network;
  std::string content_parameters, pitch_parameters;  // empty if the file does not say
  std::vector<std::string> speaker_names;
};

inline constexpr std::string_view kRvcFamily = "rvc";

[[nodiscard]] std::string to_json_text(const RvcVoiceConfig& config);
// Throws Error(checkpoint) if the file is of another family or its configuration is not one.
[[nodiscard]] RvcVoiceConfig rvc_voice_config(const ModelFile& file);

// Which parts the weights have: posterior encoder, weight norm (told by their names).
[[nodiscard]] SynthesizerForm form_of(const StateDict& weights);

// The network of `file` with its weights. Throws Error(checkpoint) with the difference if they do not fit.
[[nodiscard]] std::unique_ptr<Synthesizer> build_synthesizer(const ModelFile& file);

}  // namespace melisma
