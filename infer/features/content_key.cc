// What content features are filed under: the settings that count, and the weights by their SHA-256.
#include <fmt/ranges.h>

#include "infer/features/content.h"
#include "infer/features/feature_key.h"
#include "models/catalogue/weights_folder.h"
#include "models/content/hubert_file.h"
#include "tools/base/table.h"

namespace melisma {
namespace content_key_detail {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kSha256 = "weights_sha256";
constexpr const char* kHubert = "hubert";

// The method, the weights' SHA-256 as far as it is named, and the method's own table; a name for several settings
// ("v2") as what it stands for.
Json settings_in_use(ContentConfig config) {
  const auto& method = find_row(kContentMethods, config.method, "content method");
  for (const auto& preset : kHubertPresets) {
    if (preset.name != config.hubert.output) continue;
    config.hubert.layer = preset.layer;
    config.hubert.projection = preset.projection;
  }
  const auto all = to_json(schema_of(config));
  Json used{{"method", config.method}};
  if (method.needs_weights) used[kSha256] = config.weights_sha256;
  used[config.method] = all[config.method];
  if (config.method == kHubert) used[kHubert].erase("output");
  return used;
}

std::string sha256_named_or_of_file(const ContentConfig& config) {
  return config.weights_sha256.empty() ? sha256_of_weights(locate_weights(config.weights)) : config.weights_sha256;
}

// The method that a key's JSON names; nullptr if it is none of ours.
const ContentMethod* method_in(std::string_view parameters) {
  const auto object = Json::parse(parameters, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || !object.contains("method")) return nullptr;
  for (const auto& method : kContentMethods) {
    if (object["method"] == method.name) return &method;
  }
  return nullptr;
}

// Features that equal what is asked but for weights that are not named there.
bool fits(const Json& asked, const FeatureKey& key) {
  const auto* method = method_in(key.parameters);
  if (key.kind != "content" || method == nullptr) return false;
  auto stored = Json::parse(key.parameters);
  if (stored.value("revision", 0) != method->revision) return false;
  stored.erase("revision");
  if (asked.contains(kSha256) && asked[kSha256] == "") stored[kSha256] = "";
  return stored == asked;
}

}  // namespace
}  // namespace content_key_detail

FeatureKey key_of(const ContentConfig& config) {
  using namespace content_key_detail;
  auto named = config;
  if (content_needs_weights(config)) named.weights_sha256 = sha256_named_or_of_file(config);
  auto settings = settings_in_use(named);
  settings["revision"] = find_row(kContentMethods, config.method, "content method").revision;
  return {"content", settings.dump()};
}

ContentConfig content_config_of(std::string_view parameters) {
  const auto* method = content_key_detail::method_in(parameters);
  auto config = config_of_feature_key<ContentConfig>("content", parameters, method == nullptr ? -1 : method->revision);
  config.hubert.output = "layer";
  for (const auto& preset : kHubertPresets) {
    if (preset.layer == config.hubert.layer && preset.projection == config.hubert.projection) {
      config.hubert.output = preset.name;
    }
  }
  return config;
}

ContentConfig content_as_stored(const ContentConfig& config, std::span<const FeatureKey> stored) {
  using namespace content_key_detail;
  if (!content_needs_weights(config)) return config;
  auto named = config;
  if (!config.weights.empty()) named.weights_sha256 = sha256_named_or_of_file(config);
  const auto asked = settings_in_use(named);
  std::vector<std::string> found;
  for (const auto& key : stored) {
    if (fits(asked, key)) found.push_back(content_config_of(key.parameters).weights_sha256);
  }
  if (found.size() > 1) {
    fail(ErrorKind::config,
         "there are content features by '{}' of {} weights, SHA-256 {}; choose by content.weights_sha256 or "
         "content.weights",
         config.method, found.size(), fmt::join(found, " and "));
  }
  if (!found.empty()) named.weights_sha256 = found.front();
  return named;
}

}  // namespace melisma
