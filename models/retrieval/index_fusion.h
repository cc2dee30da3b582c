// One feature index of several: the training frames of all, in proportion.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "models/retrieval/feature_index.h"

namespace melisma {

struct IndexShare {
  std::string name;  // for messages
  FeatureIndex index;
  double share = 0;  // >= 0; of the vectors of the result
};

struct FusedIndex {
  FeatureIndex index;
  std::vector<std::int64_t> taken;  // vectors of each parent
  std::int64_t equal = 0;           // of them left out because an equal one was there already
};

// As many vectors as the proportion of the shares allows without any twice: all of the parent that is smallest for its
// share, a seeded choice of the others', sorted into lists anew. A voice that is fused of several then draws what it
// hears towards the recordings of each as often as that voice weighs. Error(data) if the indexes hold features of
// different widths, or no share is above 0.
[[nodiscard]] FusedIndex fuse_indexes(std::span<const IndexShare> parents, const IndexSettings& settings = {},
                                      const std::function<void(double)>& progress = {});

}  // namespace melisma
