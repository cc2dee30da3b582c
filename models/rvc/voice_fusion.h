// One RVC voice of several: part by part, on the weights as they sound or as they are stored.
#pragma once
#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/merging/merge.h"
#include "models/rvc/voice_model.h"
#include "models/weights/model_file.h"

namespace melisma {

// What a voice is made of, for weights and comparisons of their own. The posterior encoder only trains and is no part.
struct VoicePart {
  std::string_view name;    // "decoder"
  std::string_view prefix;  // of its tensors' names: "dec."
  std::string_view summary;
};
inline constexpr std::array<VoicePart, 4> kVoiceParts{{
    {"text", "enc_p.", "text encoder: what is said, and at which pitch"},
    {"flow", "flow.", "flow: from the latent that says it to the one that sounds like the speaker"},
    {"decoder", "dec.", "decoder: from the latent to the waveform"},
    {"speaker", "emb_g.", "table of speakers"},
}};
// By name or prefix ("decoder", "dec"); Error(usage) with did-you-mean.
[[nodiscard]] const VoicePart& voice_part(std::string_view name);
// The part a tensor belongs to; nullptr for the posterior encoder.
[[nodiscard]] const VoicePart* part_of_tensor(std::string_view tensor_name);

struct NamedVoice {
  std::string name;  // for messages
  ModelFile file;    // as read_rvc_voice gives it
};

// What keeps two voices from being one in the same network: "sample_rate_hz is 40000 in 'a' but 32000 in 'b'". Settings
// that only training uses may differ; content features may where a file does not say which they were.
[[nodiscard]] std::vector<std::string> voice_differences(const NamedVoice& a, const NamedVoice& b);

struct FusionRecipe {
  std::string_view method = "sum";                          // of kMergeMethods
  std::vector<double> weights;                              // as merge_weights takes them
  std::map<std::string, std::vector<double>> part_weights;  // of parts (kVoiceParts names) that have their own
  bool is_normalised = true;                                // weights are made to sum to 1 where the method does
  double density = 1;                                       // of ties
  // True: weight norm is folded, g v / |v| is merged and taken apart again with v the weight and g its norm. False: g
  // and v are merged each for itself in float32, as the RVC tools do, which is another voice.
  bool is_effective = true;
  // The posterior encoder, too, with `weights`, so that training can start from the result.
  bool keep_posterior = false;
};

struct FusedVoice {
  ModelFile file;  // float32, with weight norm if the first voice has it; no posterior encoder unless it was asked for
  std::map<std::string, std::vector<double>> weights;  // of each part, as they were used
  std::vector<std::string> fallbacks;  // tensors for which the method is not defined: their weighted sum is taken
};

// The configuration is the first voice's; speakers with different names are called by all of them. A part with all its
// weight on one voice is that voice's, bit for bit. Error(checkpoint) naming all that differs, or the first voice
// without a posterior encoder where it is to be kept; Error(usage) for weights.
[[nodiscard]] FusedVoice fuse_voices(std::span<const NamedVoice> voices, const FusionRecipe& recipe);

}  // namespace melisma
