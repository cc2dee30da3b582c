// From the canonical JSON that features are filed under back to settings.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "data/sets/dataset.h"
#include "tools/base/error.h"
#include "tools/config/config.h"

namespace melisma {

// The settings that the JSON of a key names; `revision` is what this program makes.
template <HasFields Config>
Config config_of_feature_key(std::string_view kind, std::string_view parameters, int revision) {
  auto object = nlohmann::ordered_json::parse(parameters, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    fail(ErrorKind::data, "{} features: '{}' is not the JSON object of a feature key", kind, parameters);
  }
  const auto found = object.value("revision", 0);
  if (found != revision) {
    fail(ErrorKind::data, "{} features of revision {}, but this version makes revision {}: prepare the dataset again",
         kind, found, revision);
  }
  object.erase("revision");
  Config config;
  auto schema = schema_of(config);
  try {
    from_json(schema, object, std::string(kind) + " features");
  } catch (const Error& error) {
    throw Error(ErrorKind::data, error.message());
  }
  return config;
}

}  // namespace melisma
