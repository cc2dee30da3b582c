// Rows of a dataset as JSON, the same in every command that prints them.
#pragma once
#include <nlohmann/json.hpp>

#include "data/sets/dataset.h"

namespace melisma {

[[nodiscard]] inline nlohmann::ordered_json json_of(const RecordingRow& row) {
  return {{"path", row.path},     {"speaker", row.speaker}, {"fate", row.fate},
          {"detail", row.detail}, {"seconds", row.seconds}, {"kept_seconds", row.kept_seconds},
          {"clips", row.n_clips}, {"split", row.split},     {"duplicate_group", row.duplicate_group}};
}

[[nodiscard]] inline nlohmann::ordered_json json_of(const FeatureKey& key) {
  return {{"kind", key.kind},
          {"parameters", nlohmann::ordered_json::parse(key.parameters, nullptr, false)},
          {"hash", key.parameter_hash()}};
}

}  // namespace melisma
