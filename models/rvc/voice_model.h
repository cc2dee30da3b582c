// RVC model files: the JSON that describes a voice, and the network built from a file.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "models/rvc/config.h"
#include "models/rvc/synthesizer.h"
#include "models/weights/model_file.h"

namespace melisma {

// What ModelFile.config of family "rvc" says: the fields of RvcConfig, and beside them
// {"content": {...}, "pitch": {...}, "speaker_names": [...]} where they are known.
struct RvcVoiceConfig {
  RvcConfig network;
  std::string content_parameters, pitch_parameters;  // canonical JSON of the FeatureKeys; empty = unknown
  std::vector<std::string> speaker_names;            // may be fewer than network.speakers
};

[[nodiscard]] std::string to_canonical_json(const RvcVoiceConfig& config);
// Throws Error(checkpoint) if `file` is of another family or its configuration is not one.
[[nodiscard]] RvcVoiceConfig rvc_voice_config(const ModelFile& file);

// The network of a file with its weights, whatever the file left out: extracted voices have no posterior encoder,
// folded ones no weight norm. Throws Error(checkpoint) with the difference if the weights do not fit the configuration.
[[nodiscard]] std::unique_ptr<Synthesizer> build_synthesizer(const ModelFile& file);

// Copies pretrained weights into `network` (complete, for training). Folded weights are taken apart; weights without a
// posterior encoder and weights of another architecture are refused with one Error(checkpoint) that says which
// settings differ, expected against found. `source` names the file. Its speaker table may have more rows (cut off) or
// fewer (the others stay as they are); where the file names its speakers, those of `speakers` (rows 0, 1, ... of the
// network) get their own rows. What was done with the table is returned, empty if it was simply copied.
[[nodiscard]] std::string load_pretrained(Synthesizer& network, const ModelFile& file, const std::string& source,
                                          const std::vector<std::string>& speakers = {});

}  // namespace melisma
