#include "experiments/runs/held_out_caveat.h"

#include <fmt/format.h>

#include "tools/base/atomic_file.h"

namespace melisma {
namespace held_out_caveat_detail {
namespace {
using Json = nlohmann::ordered_json;

constexpr const char* kCaveat = "held_out_caveat";

std::string dataset_hash_of(const Json& manifest) {
  return manifest.value(Json::json_pointer("/dataset/content_hash"), std::string());
}

std::string unknown_hearing(const std::string& weights) {
  return fmt::format(
      "this run began with '{}': whoever trained those weights may have heard the held-out recordings, and scores on "
      "them may be too good",
      std::filesystem::path(weights).filename().string());
}

}  // namespace
}  // namespace held_out_caveat_detail

std::string held_out_caveat(const nlohmann::ordered_json& manifest, std::string_view dataset_hash) {
  using namespace held_out_caveat_detail;
  const bool is_own = dataset_hash_of(manifest) == dataset_hash;
  if (const auto imported = manifest.find("imported"); imported != manifest.end()) {
    const auto generator = imported->value(Json::json_pointer("/generator/path"), std::string("imported weights"));
    return is_own ? imported->value(kCaveat, unknown_hearing(generator)) : unknown_hearing(generator);
  }
  const auto from = manifest.find("from");
  if (from == manifest.end() || !from->is_object()) return {};
  const auto anybody = unknown_hearing(from->value("path", std::string("other weights")));
  return is_own ? from->value(kCaveat, anybody) : anybody;
}

std::string held_out_caveat(const nlohmann::ordered_json& manifest) {
  return held_out_caveat(manifest, held_out_caveat_detail::dataset_hash_of(manifest));
}

std::string caveat_of_base(const std::filesystem::path& weights, std::string_view dataset_hash) {
  using namespace held_out_caveat_detail;
  // runs/<id>/checkpoints/<epoch>/model.safetensors
  const auto run = std::filesystem::absolute(weights).parent_path().parent_path().parent_path();
  if (std::filesystem::is_regular_file(run / "manifest.json")) {
    const auto manifest = Json::parse(read_file(run / "manifest.json"), nullptr, /*allow_exceptions=*/false);
    if (manifest.is_object() && dataset_hash_of(manifest) == dataset_hash) {
      return held_out_caveat(manifest, dataset_hash);
    }
  }
  return unknown_hearing(weights.string());
}

}  // namespace melisma
