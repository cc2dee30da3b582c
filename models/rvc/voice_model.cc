#include "models/rvc/voice_model.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "models/rvc/tensor_shapes.h"
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

// One architecture-defining size, what it is called, the tensor and dimension it can be read from, and how many times
// it is that.
struct Size {
  const char* setting;
  const char* tensor;
  std::int64_t dimension;
  std::int64_t times = 1;
};
constexpr Size kTellingSizes[] = {
    {"content_channels", "enc_p.emb_phone.weight", 1},
    {"hidden_channels", "enc_p.emb_phone.weight", 0},
    {"filter_channels", "enc_p.encoder.ffn_layers.0.conv_1.weight", 0},
    {"inter_channels", "enc_p.proj.weight", 0, 2},
    {"speaker_channels", "emb_g.weight", 1},
};
// Sizes that follow from the sample rate, and so say nothing more where that differs.
constexpr Size kDecoderSizes[] = {
    {"spectrum bins (n_fft / 2 + 1)", "enc_q.pre.weight", 1},
    {"upsample_initial_channels", "dec.cond.weight", 0},
    {"upsample_kernels[0]", "dec.ups.0.weight_v", 2},
    {"upsample_kernels[1]", "dec.ups.1.weight_v", 2},
    {"hop / upsample_rates[0] * 2", "dec.noise_convs.0.weight", 2},
};

template <class Value>
void compare(std::vector<std::string>& differences, const char* setting, const Value& found, const Value& expected) {
  if (found == expected) return;
  differences.push_back(fmt::format("{} is {} in the file but {} in the model", setting, found, expected));
}

void compare_sizes(std::vector<std::string>& differences, std::span<const Size> sizes, const StateDict& expected,
                   const StateDict& found) {
  for (const auto& size : sizes) {
    if (!expected.contains(size.tensor) || !found.contains(size.tensor)) continue;
    const auto &want = expected.at(size.tensor), &got = found.at(size.tensor);
    if (want.dim() != got.dim()) continue;
    compare(differences, size.setting, got.size(size.dimension) / size.times, want.size(size.dimension) / size.times);
  }
}

// The sample rate a file says, or its tensors tell; that of `config` where neither does.
std::int64_t rate_of(const ModelFile& file, const RvcConfig& config) {
  if (file.family == "rvc") return rvc_voice_config(file).network.sample_rate_hz;
  return rvc_rate_of_shapes(file.weights).value_or(config.sample_rate_hz);
}

// "content_channels is 256 in the file but 768 in the model", one a difference; `found` are the file's tensors as the
// network names them.
std::vector<std::string> differences_of(const RvcConfig& config, const ModelFile& file, const StateDict& expected,
                                        const StateDict& found) {
  std::vector<std::string> differences;
  const auto vocoder = rvc_vocoder_of_shapes(file.weights);
  if (!vocoder.empty()) compare(differences, "vocoder", vocoder, std::string_view(config.vocoder));
  compare(differences, "sample_rate_hz", rate_of(file, config), config.sample_rate_hz);
  const bool is_explained = !differences.empty();
  compare_sizes(differences, kTellingSizes, expected, found);
  if (!is_explained) compare_sizes(differences, kDecoderSizes, expected, found);
  return differences;
}

// The file's speaker table on the rows of the network's, and what was done.
struct SpeakerTable {
  at::Tensor rows;
  std::string remark;
};

SpeakerTable fitted_speakers(const at::Tensor& network, const at::Tensor& file,
                             const std::vector<std::string>& names_in_file, const std::vector<std::string>& names) {
  if (file.dim() != 2 || file.size(1) != network.size(1)) return {file, ""};
  SpeakerTable table{network.clone(), ""};
  const auto have = network.size(0), given = file.size(0), taken = std::min(have, given);
  table.rows.narrow(0, 0, taken).copy_(file.narrow(0, 0, taken));
  if (given > have) table.remark = fmt::format("the first {} of the {} rows in the file are taken", have, given);
  if (given < have) table.remark = fmt::format("{} rows are the file's, {} start fresh", given, have - given);
  std::vector<std::string> moved;
  for (std::size_t row = 0; row < names.size() && static_cast<std::int64_t>(row) < have; ++row) {
    const auto found = std::ranges::find(names_in_file, names[row]) - names_in_file.begin();
    if (found == static_cast<std::ptrdiff_t>(row) || found >= std::min(std::ssize(names_in_file), given)) continue;
    table.rows[static_cast<std::int64_t>(row)].copy_(file[found]);
    moved.push_back(names[row]);
  }
  if (!moved.empty()) {
    table.remark += fmt::format("{}{} found by name", table.remark.empty() ? "" : "; ", fmt::join(moved, ", "));
  }
  return table;
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

std::string load_pretrained(Synthesizer& network, const ModelFile& file, const std::string& source,
                            const std::vector<std::string>& speakers) {
  const auto expected = network.state_dict();
  if (!has_part(file.weights, "enc_p.")) {
    fail(ErrorKind::checkpoint, "'{}' does not hold an RVC voice: no tensor 'enc_p...' among its {}", source,
         file.weights.size());
  }
  if (!has_part(file.weights, "enc_q.")) {
    fail(ErrorKind::checkpoint,
         "'{}' is an extracted voice without the posterior encoder (enc_q): training needs the weights of a whole "
         "generator, such as a run's checkpoint, a pretrained G file, or a voice fused of these with --for-training",
         source);
  }
  auto found = unfold_weight_norm(file.weights, expected);
  std::string remark;
  if (found.contains("emb_g.weight")) {
    const auto names = file.family == "rvc" ? rvc_voice_config(file).speaker_names : std::vector<std::string>{};
    auto table = fitted_speakers(expected.at("emb_g.weight"), found.at("emb_g.weight"), names, speakers);
    found.replace("emb_g.weight", table.rows);
    remark = table.remark;
  }
  const auto difference = expected.difference_to(found);
  const auto told = differences_of(network.config(), file, expected, found);
  if (!difference.empty() || !told.empty()) {
    fail(ErrorKind::checkpoint,
         "'{}' does not fit the model: {}. Set the preset, vocoder and content features that it was made for, or start "
         "from other weights",
         source, told.empty() ? difference.summary() : fmt::format("{}", fmt::join(told, "; ")));
  }
  network.load(found);
  return remark;
}

}  // namespace melisma
