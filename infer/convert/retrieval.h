// Drawing a recording's content towards what the voice's own recordings sound like.
#pragma once
#include <memory>
#include <span>

#include "data/sets/dataset.h"
#include "models/retrieval/feature_index.h"

namespace melisma {

struct Retrieval {
  std::shared_ptr<const FeatureIndex> index;  // null = content stays as it is
  double rate = 0.3;  // share of the retrieved features, 0 ... 1: more accent of the voice, less of the recording
  double protect =
      0.33;  // how much of that change unvoiced frames (consonants, breath) take, 0 ... 0.5; 0.5 = all of it
};

// content [frames][width] at 100 frames/s, f0 in Hz (0 = unvoiced). Error(data) if the index holds another width. What
// `protect` does is as in the RVC tools: unvoiced frames are protect * changed + (1 - protect) * unchanged below 0.5.
void retrieve(FeatureMatrix& content, std::span<const float> f0_hz, const Retrieval& retrieval);

}  // namespace melisma
