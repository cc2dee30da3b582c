// What a feature set of a dataset costs and how exact it is.
#pragma once
#include <cstdint>
#include <string_view>

#include "data/sets/dataset.h"

namespace melisma {

struct FeatureFacts {
  std::int64_t bytes = 0;       // of the values
  std::int64_t width = 0;       // columns
  std::string_view storage;     // "float32" or "eight bits"
  double largest_error = 0;     // in the values' own unit, measured when they were written
  std::int64_t wave_bytes = 0;  // of the dataset's sound in 16 bits; 0 if it has none
};

// Throws Error(data) if the dataset has no such features.
[[nodiscard]] FeatureFacts feature_facts(const Dataset& dataset, const FeatureKey& key);

}  // namespace melisma
