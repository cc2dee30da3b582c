#include "models/rvc/voice_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/base/error.h"
#include "tools/config/config.h"

namespace melisma {
namespace {

using VoiceJson = nlohmann::ordered_json;

std::string dumped_member(const VoiceJson& object, const char* key) {
  return object.contains(key) ? object[key].dump() : std::string();
}

}  // namespace

std::string to_json_text(const RvcVoiceConfig& config) {
  auto network = config.network;
  auto object = to_json(schema_of(network));
  if (!config.content_parameters.empty()) object["content"] = VoiceJson::parse(config.content_parameters);
  if (!config.pitch_parameters.empty()) object["pitch"] = VoiceJson::parse(config.pitch_parameters);
  object["speaker_names"] = config.speaker_names;
  return object.dump();
}

RvcVoiceConfig rvc_voice_config(const ModelFile& file) {
  if (file.family != kRvcFamily) {
    fail(ErrorKind::checkpoint, "the model is of family '{}', expected '{}'", file.family, kRvcFamily);
  }
  try {
    auto object = VoiceJson::parse(file.config);
    RvcVoiceConfig config;
    config.content_parameters = dumped_member(object, "content");
    config.pitch_parameters = dumped_member(object, "pitch");
    if (object.contains("speaker_names")) config.speaker_names = object["speaker_names"];
    for (const auto* key : {"content", "pitch", "speaker_names"}) object.erase(key);
    auto schema = schema_of(config.network);
    with_context("reading the model's configuration", [&] { from_json(schema, object, "model file"); });
    check_config(config.network);
    return config;
  } catch (const nlohmann::json::exception& problem) {
    fail(ErrorKind::checkpoint, "the model's configuration is not readable: {}", problem.what());
  }
}

SynthesizerForm form_of(const StateDict& weights) {
  const auto any = [&](const auto& test) {
    return std::any_of(weights.begin(), weights.end(), [&](const auto& item) { return test(item.first); });
  };
  return {.posterior = any([](const std::string& name) { return name.starts_with("enc_q."); }),
          .weight_norm = any([](const std::string& name) { return name.ends_with(".weight_v"); })};
}

std::unique_ptr<Synthesizer> build_synthesizer(const ModelFile& file) {
  const auto config = rvc_voice_config(file);
  auto network = std::make_unique<Synthesizer>(config.network, form_of(file.weights));
  network->load(file.weights);
  return network;
}

}  // namespace melisma
