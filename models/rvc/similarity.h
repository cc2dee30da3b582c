// How alike two voices are by their weights alone: part by part, and in what their attention answers.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/rvc/voice_fusion.h"

namespace melisma {

// One part of two voices, on the weights they multiply with (weight norm folded), all its tensors as one vector.
struct PartSimilarity {
  std::string_view part;         // a name of kVoiceParts
  std::int64_t parameters = 0;   // of the first voice
  double cosine = 0;             // 1 = the same direction
  double relative_distance = 0;  // |a - b| / |a|
  std::string why_none;          // the numbers do not exist: what differs
};
[[nodiscard]] std::vector<PartSimilarity> part_similarities(const NamedVoice& a, const NamedVoice& b);

// The same random frames through the attention of each layer of both text encoders: softmax(q k / sqrt(d)) v with the
// layer's heads and biases, without its positions. Fine-tunings of one base stay near 100 %, strangers near 0 %. In the
// manner of RVC-WebUI's similarity tool, which leaves scale, heads and biases out.
struct AttentionSimilarity {
  std::vector<double> layers;  // mean cosine of the answers' frames, in percent
  double mean = 0;             // of the layers
  std::string why_none;
};
struct AttentionProbe {
  std::uint64_t seed = 0;
  std::int64_t frames = 200;
};
[[nodiscard]] AttentionSimilarity attention_similarity(const NamedVoice& a, const NamedVoice& b,
                                                       const AttentionProbe& probe = {});

}  // namespace melisma
