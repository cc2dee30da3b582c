#include "models/rvc/voice_model.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "models/weights/quantize.h"
#include "models/weights/weight_norm.h"
#include "tools/base/error.h"
#include "tools/config/config.h"

namespace melisma {
namespace {

using Json = nlohmann::ordered_json;

bool has_part(const StateDict& weights, std::string_view prefix) {
  return std::any_of(weights.begin(), weights.end(), [&](const auto& item) { return item.first.starts_with(prefix); });
}

// A tensor that every voice has unless its weight norm is folded.
constexpr const char* kNormedEverywhere = "flow.flows.0.enc.cond_layer.weight_v";

// One architecture-defining size, what it is called, and the tensor and dimension it can be read from.
struct Size {
  const char* setting;
  const char* tensor;
  std::int64_t dimension;
};
constexpr Size kTellingSizes[] = {
    {"content_channels", "enc_p.emb_phone.weight", 1},
    {"hidden_channels", "enc_p.emb_phone.weight", 0},
    {"filter_channels", "enc_p.encoder.ffn_layers.0.conv_1.weight", 0},
    {"inter_channels", "dec.conv_pre.weight", 1},
    {"spectrum bins (n_fft / 2 + 1)", "enc_q.pre.weight", 1},
    {"upsample_initial_channels", "dec.conv_pre.weight", 0},
    {"upsample_kernels[0]", "dec.ups.0.weight_v", 2},
    {"upsample_kernels[1]", "dec.ups.1.weight_v", 2},
    {"hop / upsample_rates[0] * 2", "dec.noise_convs.0.weight", 2},
    {"speaker_channels", "emb_g.weight", 1},
};

// "content_channels is 256 in the file but 768 in the model", one a difference.
std::vector<std::string> size_differences(const StateDict& expected, const StateDict& found) {
  std::vector<std::string> differences;
  for (const auto& size : kTellingSizes) {
    if (!expected.contains(size.tensor) || !found.contains(size.tensor)) continue;
    const auto &want = expected.at(size.tensor), &got = found.at(size.tensor);
    if (want.dim() != got.dim() || want.size(size.dimension) == got.size(size.dimension)) continue;
    differences.push_back(fmt::format("{} is {} in the file but {} in the model", size.setting,
                                      got.size(size.dimension), want.size(size.dimension)));
  }
  return differences;
}

// The file's speaker table on the rows of the network's.
at::Tensor fitted_speakers(const at::Tensor& network, const at::Tensor& file) {
  auto fitted = network.clone();
  if (file.dim() != 2 || file.size(1) != network.size(1)) return file;
  const auto rows = std::min(network.size(0), file.size(0));
  fitted.narrow(0, 0, rows).copy_(file.narrow(0, 0, rows));
  return fitted;
}

}  // namespace

std::string to_canonical_json(const RvcVoiceConfig& config) {
  auto network = config.network;
  auto object = to_json(schema_of(network));
  if (!config.content_parameters.empty()) object["content"] = Json::parse(config.content_parameters);
  if (!config.pitch_parameters.empty()) object["pitch"] = Json::parse(config.pitch_parameters);
  if (!config.speaker_names.empty()) object["speaker_names"] = config.speaker_names;
  return object.dump();
}

RvcVoiceConfig rvc_voice_config(const ModelFile& file) {
  if (file.family != "rvc") {
    fail(ErrorKind::checkpoint, "the model is of family '{}'; expected an RVC voice", file.family);
  }
  auto object = Json::parse(file.config, nullptr, false);
  if (!object.is_object()) fail(ErrorKind::checkpoint, "the model's configuration is not a JSON object");
  RvcVoiceConfig config;
  const auto take = [&](const char* key) {
    Json value;
    if (object.contains(key)) value = object[key], object.erase(key);
    return value;
  };
  if (const auto content = take("content"); !content.is_null()) config.content_parameters = content.dump();
  if (const auto pitch = take("pitch"); !pitch.is_null()) config.pitch_parameters = pitch.dump();
  if (const auto names = take("speaker_names"); names.is_array()) {
    for (const auto& name : names) config.speaker_names.push_back(name.is_string() ? name.get<std::string>() : "");
  }
  try {
    auto schema = schema_of(config.network);
    from_json(schema, object, "the model's configuration");
    check_config(config.network);
  } catch (const Error& error) {
    throw Error(ErrorKind::checkpoint, error.message());
  }
  return config;
}

std::unique_ptr<Synthesizer> build_synthesizer(const ModelFile& file) {
  const auto config = rvc_voice_config(file);
  const SynthesizerForm form{.posterior = has_part(file.weights, "enc_q."),
                             .weight_norm = file.weights.contains(kNormedEverywhere)};
  auto network = std::make_unique<Synthesizer>(config.network, form);
  network->load(dequantized(file).weights);
  return network;
}

void load_pretrained(Synthesizer& network, const ModelFile& file, const std::string& source) {
  const auto expected = network.state_dict();
  if (!has_part(file.weights, "enc_p.")) {
    fail(ErrorKind::checkpoint, "'{}' does not hold an RVC voice: no tensor 'enc_p...' among its {}", source,
         file.weights.size());
  }
  if (!has_part(file.weights, "enc_q.")) {
    fail(ErrorKind::checkpoint,
         "'{}' is an extracted voice without the posterior encoder (enc_q): training needs the weights of a whole "
         "generator, such as a run's checkpoint or a pretrained G file",
         source);
  }
  auto found = unfold_weight_norm(file.weights, expected);
  if (found.contains("emb_g.weight")) {
    found.replace("emb_g.weight", fitted_speakers(expected.at("emb_g.weight"), found.at("emb_g.weight")));
  }
  const auto difference = expected.difference_to(found);
  if (!difference.empty()) {
    const auto sizes = size_differences(expected, found);
    fail(ErrorKind::checkpoint, "'{}' does not fit the model: {}", source,
         sizes.empty() ? difference.summary() : fmt::format("{}", fmt::join(sizes, "; ")));
  }
  network.load(found);
}

}  // namespace melisma
