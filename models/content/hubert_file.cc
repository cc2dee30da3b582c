#include "models/content/hubert_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <nlohmann/json.hpp>

#include "models/catalogue/weights_folder.h"
#include "models/weights/weight_norm.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace fs = std::filesystem;
namespace hubert_file_detail {
namespace {

using Json = nlohmann::json;

// Of models that a HuBERT is a part of, longest first.
constexpr std::array<std::string_view, 4> kPrefixes{"w2v_encoder.w2v_model.", "w2v_model.", "hubert.", "model."};

// Tensors of training and of other tasks, by what their names begin with.
constexpr std::array<std::string_view, 4> kUnused{"masked_spec_embed", "mask_emb", "label_embs_concat", "lm_head."};

struct Renaming {
  std::string_view fairseq, hugging_face;
};
constexpr std::array kAtTheStart{
    Renaming{"layer_norm.", "feature_projection.layer_norm."},
    Renaming{"post_extract_proj.", "feature_projection.projection."},
    Renaming{"encoder.pos_conv.0.", "encoder.pos_conv_embed.conv."},
};
// Between the number of a layer and the name of the tensor.
constexpr std::array kInALayer{
    Renaming{".self_attn.", ".attention."},
    Renaming{".self_attn_layer_norm.", ".layer_norm."},
    Renaming{".fc1.", ".feed_forward.intermediate_dense."},
    Renaming{".fc2.", ".feed_forward.output_dense."},
};
constexpr std::array kInAConvolution{
    Renaming{".0.weight", ".conv.weight"},
    Renaming{".0.bias", ".conv.bias"},
    Renaming{".2.weight", ".layer_norm.weight"},
    Renaming{".2.bias", ".layer_norm.bias"},
};
constexpr std::string_view kConvolutions = "feature_extractor.conv_layers.", kLayers = "encoder.layers.";

// `name` = prefix, number, rest: the rest replaced if a row has it.
template <class Rows>
std::string renamed_after_number(const std::string& name, std::string_view prefix, const Rows& rows) {
  const auto rest = name.find('.', prefix.size());
  if (rest == std::string::npos) return name;
  for (const auto& row : rows) {
    if (std::string_view(name).substr(rest).starts_with(row.fairseq)) {
      return fmt::format("{}{}{}", name.substr(0, rest), row.hugging_face, name.substr(rest + row.fairseq.size()));
    }
  }
  return name;
}

const at::Tensor& tensor_of(const StateDict& weights, const std::string& name, std::int64_t dimensions) {
  if (!weights.contains(name)) {
    fail(ErrorKind::checkpoint, "there is no tensor '{}' among its {}: it is no HuBERT, or a part of one", name,
         weights.size());
  }
  const auto& tensor = weights.at(name);
  if (tensor.dim() != dimensions) {
    fail(ErrorKind::checkpoint, "'{}' is [{}]; expected {} dimensions", name, fmt::join(tensor.sizes(), ","),
         dimensions);
  }
  return tensor;
}

// Layers numbered from 0 that have the tensor prefix + number + name.
std::int64_t n_numbered(const StateDict& weights, std::string_view prefix, std::string_view name) {
  std::int64_t n = 0;
  while (weights.contains(fmt::format("{}{}{}", prefix, n, name))) ++n;
  return n;
}

void read_convolutions(const StateDict& weights, HubertConfig& config) {
  const auto n = n_numbered(weights, kConvolutions, ".conv.weight");
  if (n < 2) (void)tensor_of(weights, fmt::format("{}{}.conv.weight", kConvolutions, n), 3);
  if (weights.contains(fmt::format("{}1.layer_norm.weight", kConvolutions))) {
    fail(ErrorKind::checkpoint,
         "'{}1.layer_norm.weight': its convolutions are all normalised, as in HuBERT large; expected a group norm in "
         "layer 0 alone, as in HuBERT base",
         kConvolutions);
  }
  config.conv_channels.clear();
  config.conv_kernels.clear();
  for (std::int64_t i = 0; i < n; ++i) {
    const auto& weight = tensor_of(weights, fmt::format("{}{}.conv.weight", kConvolutions, i), 3);
    config.conv_channels.push_back(weight.size(0));
    config.conv_kernels.push_back(weight.size(2));
  }
  config.conv_bias = weights.contains(fmt::format("{}0.conv.bias", kConvolutions));
}

// The setting of that name must be what the network does.
template <class T>
void require(const Json& json, const char* name, const T& expected) {
  if (!json.contains(name) || json[name] == Json(expected)) return;
  fail(ErrorKind::checkpoint, "its config.json says {} = {}; expected {}", name, json[name].dump(),
       Json(expected).dump());
}

void read_config_json(std::string_view text, HubertConfig& config) {
  const auto json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) fail(ErrorKind::checkpoint, "its config.json is not a JSON object; repair or remove it");
  require(json, "feat_extract_norm", "group");
  require(json, "do_stable_layer_norm", false);
  require(json, "hidden_act", "gelu");
  require(json, "feat_extract_activation", "gelu");
  require(json, "conv_bias", config.conv_bias);
  require(json, "hidden_size", config.hidden);
  require(json, "num_hidden_layers", config.n_layers);
  require(json, "intermediate_size", config.intermediate);
  require(json, "conv_dim", config.conv_channels);
  require(json, "conv_kernel", config.conv_kernels);
  require(json, "num_conv_pos_embeddings", config.position_kernel);
  require(json, "num_conv_pos_embedding_groups", config.position_groups);
  try {
    config.n_heads = json.value("num_attention_heads", config.n_heads);
    config.layer_norm_eps = json.value("layer_norm_eps", config.layer_norm_eps);
    config.conv_strides = json.value("conv_stride", config.conv_strides);
  } catch (const Json::exception& problem) {
    fail(ErrorKind::checkpoint, "its config.json cannot be used: {}", problem.what());
  }
}

void check(const HubertConfig& config) {
  const auto needs = [](const std::string& what) {
    fail(ErrorKind::checkpoint, "{}; put the model's config.json beside the file", what);
  };
  if (config.conv_strides.size() != config.conv_kernels.size()) {
    needs(fmt::format("it has {} convolutions with kernels {}, but {} strides {}", config.conv_kernels.size(),
                      config.conv_kernels, config.conv_strides.size(), config.conv_strides));
  }
  for (const auto stride : config.conv_strides) {
    if (stride < 1) fail(ErrorKind::checkpoint, "its config.json has a convolution of stride {}", stride);
  }
  if (config.n_heads < 1 || config.hidden % config.n_heads != 0) {
    needs(fmt::format("{} attention heads do not share {} columns", config.n_heads, config.hidden));
  }
  if (config.position_groups < 1 || config.hidden % config.position_groups != 0) {
    fail(ErrorKind::checkpoint, "'encoder.pos_conv_embed.conv.weight_v' does not fit {} columns", config.hidden);
  }
}

void check_finite(const StateDict& weights) {
  for (const auto& [name, tensor] : weights) {
    if (!at::isfinite(tensor).all().item<bool>()) {
      fail(ErrorKind::checkpoint, "'{}' holds values that are not finite", name);
    }
  }
}

// Both spellings of a weight-normed tensor, and one stored as a plain weight, as v and g.
StateDict with_positions_unfolded(const StateDict& weights) {
  constexpr std::string_view kPlain = "encoder.pos_conv_embed.conv.weight";
  if (!weights.contains(kPlain)) return weights;
  const auto& plain = tensor_of(weights, std::string(kPlain), 3);
  StateDict expected;
  expected.add(std::string(kPlain) + "_g", at::ones({1, 1, plain.size(2)}));
  expected.add(std::string(kPlain) + "_v", plain);
  return unfold_weight_norm(weights, expected);
}

}  // namespace
}  // namespace hubert_file_detail

fs::path locate_weights(const std::string& name_or_path) {
  if (name_or_path.empty()) {
    fail(ErrorKind::config,
         "no weights are named; give the file of a HuBERT encoder such as ContentVec: model.safetensors or "
         "pytorch_model.bin (or their folder) as published for Hugging Face's transformers, or fairseq's .pt");
  }
  for (const auto& folder : {fs::path(name_or_path), weights_folder() / name_or_path}) {
    if (!fs::is_directory(folder)) continue;
    for (const auto* name : {"model.safetensors", "pytorch_model.bin"}) {
      if (fs::is_regular_file(folder / name)) return folder / name;
    }
    fail(ErrorKind::checkpoint, "the folder '{}' has neither model.safetensors nor pytorch_model.bin", folder.string());
  }
  return find_weights(name_or_path);
}

std::string hubert_name(std::string_view given) {
  using namespace hubert_file_detail;
  std::string name(given);
  for (const auto prefix : kPrefixes) {
    if (name.starts_with(prefix)) {
      name.erase(0, prefix.size());
      break;
    }
  }
  for (const auto unused : kUnused) {
    if (name.starts_with(unused)) return "";
  }
  for (const auto& row : kAtTheStart) {
    if (name.starts_with(row.fairseq)) return std::string(row.hugging_face) + name.substr(row.fairseq.size());
  }
  if (name.starts_with(kConvolutions)) return renamed_after_number(name, kConvolutions, kInAConvolution);
  if (name.starts_with(kLayers)) return renamed_after_number(name, kLayers, kInALayer);
  return name;
}

StateDict with_hubert_names(const StateDict& weights) {
  StateDict named;
  for (const auto& [name, tensor] : weights) {
    if (auto known = hubert_name(name); !known.empty()) named.add(std::move(known), tensor);
  }
  return hubert_file_detail::with_positions_unfolded(named);
}

HubertConfig hubert_config_of(const StateDict& weights, std::string_view config_json) {
  using namespace hubert_file_detail;
  constexpr std::int64_t kHeadWidth = 64;
  HubertConfig config;
  read_convolutions(weights, config);
  config.hidden = tensor_of(weights, "feature_projection.projection.weight", 2).size(0);
  const auto& positions = tensor_of(weights, "encoder.pos_conv_embed.conv.weight_v", 3);
  config.position_kernel = positions.size(2);
  config.position_groups = positions.size(1) > 0 ? config.hidden / positions.size(1) : 0;
  config.n_layers = n_numbered(weights, kLayers, ".attention.q_proj.weight");
  config.intermediate = tensor_of(weights, "encoder.layers.0.feed_forward.intermediate_dense.weight", 2).size(0);
  config.n_heads = config.hidden / kHeadWidth;
  config.projection = weights.contains("final_proj.weight") ? tensor_of(weights, "final_proj.weight", 2).size(0) : 0;
  if (!config_json.empty()) read_config_json(config_json, config);
  check(config);
  return config;
}

std::unique_ptr<Hubert> load_hubert(const fs::path& file, at::ScalarType arithmetic, at::Device device) {
  auto weights = with_hubert_names(read_model(file).weights);
  return with_context(fmt::format("loading '{}'", file.string()), [&] {
    const auto beside = file.parent_path() / "config.json";
    const auto config = hubert_config_of(weights, fs::is_regular_file(beside) ? read_file(beside) : std::string());
    auto network = std::make_unique<Hubert>(config, arithmetic);
    network->load(weights);
    hubert_file_detail::check_finite(weights);
    weights = {};
    network->set_requires_grad(false);
    if (!device.is_cpu()) {
      network->to(device);
      return network;
    }
    network->fold(true);
    network->keep_only_packed();
    return network;
  });
}

}  // namespace melisma
