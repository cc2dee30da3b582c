#include "data/sets/feature_facts.h"

#include "data/sets/dataset_layout.h"
#include "data/sets/hdf5_file.h"

namespace melisma {

FeatureFacts feature_facts(const Dataset& dataset, const FeatureKey& key) {
  const auto file = Hdf5File::open(dataset.path());
  const auto group = layout::features_of(key);
  const auto values = file.describe(group + "/values");
  FeatureFacts facts{.bytes = values.count() * values.element_bytes,
                     .width = dataset.feature_width(key),
                     .storage = "float32",
                     .wave_bytes = file.describe("/wave").count() * 2};
  if (file.has_attribute(group, layout::kLargestError)) {
    facts.storage = "eight bits";
    facts.largest_error = file.attribute<double>(group, layout::kLargestError).front();
  }
  return facts;
}

}  // namespace melisma
