// What pitch features are filed under: the settings that count, and the weights by their SHA-256.
#include <fmt/format.h>

#include "infer/features/feature_key.h"
#include "infer/features/pitch.h"
#include "models/pitch/pitch_files.h"

namespace melisma {
namespace pitch_key_detail {
namespace {

constexpr int kRevision = 1;
constexpr const char* kWeights = "weights";
constexpr const char* kSha256 = "weights_sha256";

// The table of a method's own settings.
std::string table_of(std::string method) {
  std::replace(method.begin(), method.end(), '-', '_');
  return method;
}

// The settings in use; `sha256_of` names the weights of a table that does not.
nlohmann::ordered_json settings_in_use(PitchConfig config, std::string (*sha256_of)(const std::string& weights)) {
  const auto recipe = parse_pitch_recipe(config.method);
  config.method = recipe.text();
  const auto all = to_json(schema_of(config));
  nlohmann::ordered_json used;
  for (const auto& [name, value] : all.items()) {
    if (!value.is_object()) used[name] = value;
  }
  for (const auto& member : recipe.members) {
    const auto table = table_of(member.method);
    if (!all.contains(table)) continue;
    used[table] = all[table];
    if (!used[table].contains(kWeights)) continue;
    if (used[table][kSha256] == "") used[table][kSha256] = sha256_of(used[table][kWeights]);
    used[table].erase(kWeights);
  }
  return used;
}

std::string unnamed(const std::string&) { return ""; }

bool fits(const nlohmann::ordered_json& asked, const nlohmann::ordered_json& stored) {
  if (asked.size() != stored.size()) return false;
  for (const auto& [name, value] : asked.items()) {
    if (!stored.contains(name)) return false;
    const bool is_open = name == kSha256 && value == "";
    if (value.is_object() ? !fits(value, stored[name]) : !is_open && value != stored[name]) return false;
  }
  return true;
}

}  // namespace
}  // namespace pitch_key_detail

FeatureKey key_of(const PitchConfig& config) {
  auto settings = pitch_key_detail::settings_in_use(
      config, [](const std::string& weights) { return sha256_of_weights(find_weights(weights)); });
  settings["revision"] = pitch_key_detail::kRevision;
  return {"pitch", settings.dump()};
}

PitchConfig pitch_config_of(std::string_view parameters) {
  return config_of_feature_key<PitchConfig>("pitch", parameters, pitch_key_detail::kRevision);
}

PitchConfig pitch_as_stored(const PitchConfig& config, std::span<const FeatureKey> stored) {
  using namespace pitch_key_detail;
  const auto asked = settings_in_use(config, unnamed);
  std::vector<PitchConfig> found;
  for (const auto& key : stored) {
    auto settings = nlohmann::ordered_json::parse(key.parameters, nullptr, /*allow_exceptions=*/false);
    if (key.kind != "pitch" || !settings.is_object() || settings.value("revision", 0) != kRevision) continue;
    settings.erase("revision");
    if (fits(asked, settings)) found.push_back(pitch_config_of(key.parameters));
  }
  if (found.size() > 1) {
    fail(ErrorKind::config,
         "there are {} sets of pitch features by '{}' that differ in their weights alone; name the weights by "
         "weights_sha256 in the table of the method",
         found.size(), config.method);
  }
  if (found.empty()) return config;
  auto& result = found.front();
  result.rmvpe.weights = config.rmvpe.weights;
  result.crepe.weights = config.crepe.weights;
  result.crepe_tiny.weights = config.crepe_tiny.weights;
  result.fcpe.weights = config.fcpe.weights;
  return result;
}

}  // namespace melisma
