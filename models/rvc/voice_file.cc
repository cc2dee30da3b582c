#include "models/rvc/voice_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "models/rvc/experiment_config.h"
#include "models/rvc/tensor_shapes.h"
#include "models/weights/quantize.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"

namespace melisma {
namespace voice_file_detail {
namespace {

using ToolJson = nlohmann::ordered_json;

constexpr std::size_t kListItems = 18;
constexpr std::size_t kListItemsOfDdpn08 = 19;  // the content channels before the sample rate
constexpr std::int64_t kIgnoredSegment = 32;    // item 1, which no reader looks at
// Layouts of ModelFile that have the list.
constexpr std::array<std::string_view, 4> kVoiceLayouts{"applio", "webui", "ddpn08", "w-okada"};
constexpr const char* kOwnKey = "melisma";  // our own configuration, which the tools pass over
constexpr const char* kOwnProvenanceKey = "melisma_provenance";

SynthesizerForm form_of_weights(const StateDict& weights) {
  const auto any = [&](const auto& test) { return std::any_of(weights.begin(), weights.end(), test); };
  return {.posterior = any([](const auto& item) { return item.first.starts_with("enc_q."); }),
          .weight_norm = any([](const auto& item) { return item.first.ends_with(".weight_v"); })};
}

template <class Value>
Value list_item(const ToolJson& list, std::size_t i, const char* what) {
  try {
    return list.at(i).get<Value>();
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::checkpoint, "item {} of its config list ({}) is {}", i, what, list.at(i).dump());
  }
}

// Items of the tools' list over what the shapes say. Shapes cannot tell spectrogram, rates and dilations.
RvcConfig config_of_list(const ToolJson& list, RvcConfig config) {
  using Numbers = std::vector<std::int64_t>;
  if (!list.is_array() || (list.size() != kListItems && list.size() != kListItemsOfDdpn08)) {
    fail(ErrorKind::checkpoint,
         "its 'config' has {} items; the 18 of an RVC voice, or the 19 of ddPn08's, are expected",
         list.is_array() ? list.size() : 0);
  }
  const auto number = [&](std::size_t i, const char* what) { return list_item<std::int64_t>(list, i, what); };
  config.n_fft = config.window = 2 * (number(0, "spectrum bins") - 1);
  config.inter_channels = number(2, "inter channels");
  config.hidden_channels = number(3, "hidden channels");
  config.filter_channels = number(4, "filter channels");
  config.n_heads = number(5, "heads");
  config.n_layers = number(6, "layers");
  config.kernel_size = number(7, "kernel size");
  config.resblock_kernels = list_item<Numbers>(list, 10, "residual block kernels");
  const auto dilations = list_item<std::vector<Numbers>>(list, 11, "dilations");
  if (dilations.empty() || std::ranges::any_of(dilations, [&](const auto& d) { return d != dilations.front(); })) {
    fail(ErrorKind::checkpoint, "its residual blocks have different dilations: {}", list.at(11).dump());
  }
  config.resblock_dilations = dilations.front();
  config.upsample_rates = list_item<Numbers>(list, 12, "upsampling rates");
  config.upsample_initial_channels = number(13, "decoder width");
  config.upsample_kernels = list_item<Numbers>(list, 14, "upsampling kernels");
  config.speaker_channels = number(16, "speaker channels");
  if (list.size() == kListItemsOfDdpn08) config.content_channels = number(17, "content channels");
  config.sample_rate_hz = number(list.size() - 1, "sample rate");
  config.hop = 1;
  for (const auto rate : config.upsample_rates) {
    if (__builtin_mul_overflow(config.hop, rate, &config.hop)) fail(ErrorKind::checkpoint, "its hop is impossible");
  }
  return config;
}

// Our name of the vocoder a file says it has.
std::string vocoder_of_contents(const ToolJson& contents) {
  const auto told = contents.value("vocoder", std::string(kRvcVocoders.front().tool_name));
  std::vector<std::string> known;
  for (const auto& row : kRvcVocoders) {
    if (row.tool_name == told) return std::string(row.name);
    known.emplace_back(row.tool_name);
  }
  fail(ErrorKind::checkpoint, "its vocoder is '{}'; understood are: {}", told, fmt::join(known, ", "));
}

// How the file's tensors differ from those of its configuration.
void check_tensors(const StateDict& weights, const RvcConfig& config) {
  const auto difference = rvc_tensor_shapes(config, form_of_weights(weights)).difference_to(weights);
  if (!difference.empty()) {
    fail(ErrorKind::checkpoint, "its tensors are not those of its configuration: {}", difference.summary());
  }
}

// ddPn08's {"0": "alice", "2": "bob"} as rows; nothing if the file has no names.
std::vector<std::string> speakers_of(const ToolJson& contents, std::int64_t n_rows) {
  std::vector<std::string> names;
  if (!contents.contains("speaker_info") || !contents["speaker_info"].is_object()) return names;
  for (const auto& [key, value] : contents["speaker_info"].items()) {
    std::size_t row = 0;
    const auto [end, problem] = std::from_chars(key.data(), key.data() + key.size(), row);
    if (problem != std::errc() || end != key.data() + key.size() || row >= static_cast<std::size_t>(n_rows)) {
      fail(ErrorKind::checkpoint, "its speaker_info names speaker '{}', and it has {} rows of speakers", key, n_rows);
    }
    if (names.size() <= row) names.resize(row + 1);
    names[row] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return names;
}

RvcVoiceConfig foreign_config(const ModelFile& file, const ToolJson& contents, std::int64_t sample_rate_hz) {
  if (!file.weights.contains("enc_p.emb_phone.weight")) {
    const bool is_discriminator = file.weights.contains("discriminators.0.convs.0.bias");
    fail(ErrorKind::checkpoint, "it holds no RVC voice: {}",
         is_discriminator ? "it is a discriminator (D file); the generator (G file) is expected"
                          : "no tensor 'enc_p.emb_phone.weight' among its " + std::to_string(file.weights.size()));
  }
  const bool is_voice = std::ranges::find(kVoiceLayouts, file.layout) != kVoiceLayouts.end();
  if (is_voice && !contents.contains("config")) {
    fail(ErrorKind::checkpoint, "it has no 'config', without which a voice model says nothing of its rates");
  }
  if (contents.contains(kOwnKey) && contents[kOwnKey].is_string()) {
    ModelFile described;
    described.family = "rvc";
    described.config = contents[kOwnKey].get<std::string>();
    return rvc_voice_config(described);
  }
  const auto vocoder = vocoder_of_contents(contents);
  RvcVoiceConfig voice;
  if (is_voice) {
    RvcConfig told;
    const auto& phone = file.weights.at("enc_p.emb_phone.weight");
    const auto& speakers = file.weights.contains("emb_g.weight") ? file.weights.at("emb_g.weight") : phone;
    told.content_channels = phone.dim() == 2 ? phone.size(1) : 0;
    told.speakers = speakers.dim() == 2 ? speakers.size(0) : 0;
    told.use_f0 = file.weights.contains("enc_p.emb_pitch.weight");
    voice.network = config_of_list(contents["config"], told);
    voice.network.vocoder = vocoder;
    for (const auto& row : kRvcConfigs) {  // the mel bands of that rate
      const auto config = row.make();
      if (config.sample_rate_hz == voice.network.sample_rate_hz) voice.network.n_mels = config.n_mels;
    }
    voice.speaker_names = speakers_of(contents, voice.network.speakers);
  } else {
    voice.network = rvc_config_of_shapes(file.weights, sample_rate_hz);
  }
  return voice;
}

}  // namespace
}  // namespace voice_file_detail

ModelFile as_rvc_voice(ModelFile file, std::int64_t sample_rate_hz) {
  using namespace voice_file_detail;
  if (!file.family.empty()) {
    const auto voice = rvc_voice_config(file);  // says if it is another family
    if (file.quantization == "none") check_tensors(file.weights, voice.network);
    return file;
  }
  const auto contents = file.contents.empty() ? ToolJson::object() : ToolJson::parse(file.contents);
  const auto voice = foreign_config(file, contents, sample_rate_hz);
  try {
    check_config(voice.network);
  } catch (const Error& error) {
    fail(ErrorKind::checkpoint, "its configuration is impossible: {}", error.message());
  }
  check_tensors(file.weights, voice.network);
  file.family = "rvc";
  file.config = to_canonical_json(voice);
  file.sample_rate_hz = voice.network.sample_rate_hz;
  if (const auto own = contents.find(kOwnProvenanceKey); own != contents.end() && own->is_string()) {
    file.provenance = own->get<std::string>();
  }
  return file;
}

std::int64_t rate_beside(const std::filesystem::path& path, const ModelFile& file) {
  const auto config = path.parent_path() / "config.json";
  if (!file.family.empty() || rvc_vocoder_of_shapes(file.weights) != "refinegan") return 0;
  if (!std::filesystem::is_regular_file(config)) return 0;
  return with_context(fmt::format("reading '{}'", config.string()), [&] {
    return rvc_experiment_config_of(read_file(config), RvcConfig{}.content_channels).network.sample_rate_hz;
  });
}

ModelFile read_rvc_voice(const std::filesystem::path& path) {
  auto file = read_model(path);
  return with_context(fmt::format("loading the voice '{}'", path.string()), [&] {
    const auto rate = rate_beside(path, file);
    auto voice = dequantized(as_rvc_voice(std::move(file), rate));
    for (const auto& [name, tensor] : voice.weights) check_finite(name, tensor);
    return voice;
  });
}

void check_finite(const std::string& name, const at::Tensor& tensor) {
  if (!tensor.is_floating_point() || at::isfinite(tensor).all().item<bool>()) return;
  const bool has_nan = at::isnan(tensor).any().item<bool>();
  fail(ErrorKind::checkpoint, "'{}' holds {}: the weights are damaged or training diverged", name,
       has_nan ? "NaN" : "infinity");
}

std::string misfit_of_refinegan(const RvcConfig& config) {
  if (config.vocoder != "refinegan") return {};
  if (config.upsample_initial_channels == 512 && config.speaker_channels == 256) return {};
  return fmt::format("Applio runs RefineGAN with 512 decoder and 256 speaker channels; this voice has {} and {}",
                     config.upsample_initial_channels, config.speaker_channels);
}

std::string rvc_tool_version(const RvcConfig& config) {
  if (const auto misfit = misfit_of_refinegan(config); !misfit.empty()) {
    fail(ErrorKind::usage, "{}. Extract it with --format safetensors", misfit);
  }
  return rvc_content_version(config);
}

std::string rvc_content_version(const RvcConfig& config) {
  if (config.content_channels == 256) return "v1";
  if (config.content_channels == 768) return "v2";
  fail(ErrorKind::usage,
       "Applio and RVC-WebUI run voices with 256 (v1) or 768 (v2) content channels; this one takes {}. Extract it with "
       "--format safetensors",
       config.content_channels);
}

std::string rvc_tool_config(const RvcConfig& c) {
  const std::vector<std::vector<std::int64_t>> dilations(c.resblock_kernels.size(), c.resblock_dilations);
  const voice_file_detail::ToolJson list{c.spectrum_bins(),
                                         voice_file_detail::kIgnoredSegment,
                                         c.inter_channels,
                                         c.hidden_channels,
                                         c.filter_channels,
                                         c.n_heads,
                                         c.n_layers,
                                         c.kernel_size,
                                         0,
                                         "1",
                                         c.resblock_kernels,
                                         dilations,
                                         c.upsample_rates,
                                         c.upsample_initial_channels,
                                         c.upsample_kernels,
                                         c.speakers,
                                         c.speaker_channels,
                                         c.sample_rate_hz};
  return list.dump();
}

PickleValue rvc_tool_voice(const ModelFile& model, std::vector<TensorToWrite> tensors, const std::string& name,
                           const std::string& created) {
  const auto voice = rvc_voice_config(model);
  const auto& network = voice.network;
  const auto version = rvc_tool_version(network);
  const auto list = rvc_tool_config(network);
  auto weights = std::make_shared<PickleDict>();
  weights->is_ordered = true;
  for (auto& tensor : tensors) {
    auto key = tensor.name;
    weights->set(std::move(key), std::move(tensor));
  }
  const auto epoch = std::max<std::int64_t>(model.epoch, 0), step = std::max<std::int64_t>(model.step, 0);
  auto root = std::make_shared<PickleDict>();
  root->is_ordered = true;
  root->set("weight", std::move(weights));
  root->set("config", pickle_value_of_json(list));
  root->set("info", fmt::format("{}epoch", epoch));
  root->set("sr", network.sample_rate_hz);
  root->set("f0", std::int64_t{network.use_f0 ? 1 : 0});
  root->set("version", version);
  root->set("epoch", epoch);
  root->set("step", step);
  root->set("creation_date", created);
  root->set("model_hash",
            sha256(fmt::format("{}-{}-{}-{}-{}-{}", name, epoch, step, network.sample_rate_hz, version, list)));
  const auto info =
      model.info.empty() ? voice_file_detail::ToolJson::object() : voice_file_detail::ToolJson::parse(model.info);
  root->set("model_name", info.value("name", name));
  root->set("author", info.value("author", "None"));
  root->set("dataset_length", "None");
  root->set("embedder_model", "contentvec");
  root->set("speakers_id", std::max<std::int64_t>(static_cast<std::int64_t>(voice.speaker_names.size()), 1));
  root->set("vocoder", std::string(vocoder_of(network).tool_name));
  root->set(voice_file_detail::kOwnKey, model.config);
  if (!model.provenance.empty()) root->set(voice_file_detail::kOwnProvenanceKey, model.provenance);
  return root;
}

}  // namespace melisma
