#include "tools/actions/fuse_action.h"

#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "models/retrieval/index_fusion.h"
#include "models/rvc/tensor_shapes.h"
#include "models/rvc/voice_export.h"
#include "models/rvc/voice_file.h"
#include "models/rvc/voice_fusion.h"
#include "models/weights/pth_file.h"
#include "models/weights/weight_norm.h"
#include "tools/actions/extract_action.h"
#include "tools/actions/model_source.h"
#include "tools/base/atomic_file.h"
#include "tools/base/clock.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/hash.h"
#include "tools/base/json_text.h"
#include "tools/base/table.h"

namespace melisma {
namespace fuse_detail {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct WeightKind {
  std::string_view name, summary;
};
constexpr std::array<WeightKind, 2> kWeightKinds{{
    {"effective", "weight norm folded: what the network multiplies with"},
    {"raw", "as stored, norm and direction each for itself, as the RVC tools"},
}};

std::vector<double> numbers_of(const std::string& text, const std::string& whole) {
  std::vector<double> numbers;
  const char *at = text.data(), *end = at + text.size();
  while (at <= end) {
    double number = 0;
    const auto [next, code] = std::from_chars(at, end, number);
    if (code != std::errc() || (next != end && *next != ',')) {
      fail(ErrorKind::usage, "'{}' is not PART=WEIGHTS; decoder=0.2 and decoder=0.5,0.3,0.2 are", whole);
    }
    numbers.push_back(number);
    if (next == end) return numbers;
    at = next + 1;
  }
  return numbers;
}

FusionRecipe recipe_of(const FuseOptions& options) {
  FusionRecipe recipe{.method = find_row(kMergeMethods, options.method, "method", ErrorKind::usage).name,
                      .weights = options.weights,
                      .is_normalised = !options.as_given,
                      .density = options.density,
                      .is_effective = find_row(kWeightKinds, options.on, "kind of weights", ErrorKind::usage).name ==
                                      kWeightKinds[0].name,
                      .keep_posterior = options.for_training};
  for (const auto& text : options.parts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos) (void)numbers_of("", text);
    const auto& part = voice_part(text.substr(0, equals));
    recipe.part_weights[std::string(part.name)] = numbers_of(text.substr(equals + 1), text);
  }
  return recipe;
}

bool is_pth(const FuseOptions& options) {
  const auto ending = options.output.extension();
  if (ending != ".pth" && ending != ".safetensors") {
    fail(ErrorKind::usage, "'{}' ends in neither .safetensors nor .pth: which kind of file is it to be?",
         options.output.string());
  }
  return ending == ".pth";
}

// What can be wrong with the options alone.
void check_fuse_options(const FuseOptions& options) {
  (void)find_row(kExtractTypes, options.dtype, "dtype", ErrorKind::usage);
  if (is_pth(options) && options.dtype == "int8") {
    fail(ErrorKind::usage, "Applio and RVC-WebUI read no int8 weights; use --dtype fp16, or a .safetensors file");
  }
  if (options.for_training && (is_pth(options) || options.dtype != "fp32")) {
    fail(ErrorKind::usage,
         "training starts from whole weights in fp32; with --for-training name a .safetensors file and "
         "leave --dtype out");
  }
  require_writable(options.output);
}

// How much of the result each model is, for its index: positive weights; what is subtracted has none.
std::vector<double> index_shares(const FusionRecipe& recipe, std::size_t n_models) {
  const auto& method = find_row(kMergeMethods, recipe.method, "method");
  auto shares = merge_weights(method, recipe.weights, n_models, recipe.is_normalised);
  if (method.models_without_weight > 0) shares.insert(shares.begin(), 1.0);
  for (auto& share : shares) share = std::max(share, 0.0);
  return shares;
}

// The fused index, written; its row of the result.
Json fuse_index(const FuseOptions& options, const FusionRecipe& recipe, std::int64_t width) {
  if (options.indexes.empty()) return nullptr;
  const auto shares = index_shares(recipe, options.models.size());
  if (shares.size() != options.indexes.size()) {
    fail(ErrorKind::usage, "{} takes {} indexes for these models, {} {} given", recipe.method, shares.size(),
         options.indexes.size(), options.indexes.size() == 1 ? "is" : "are");
  }
  std::vector<IndexShare> parents;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    parents.push_back({options.indexes[i], FeatureIndex::load(options.indexes[i]), shares[i]});
    if (parents.back().index.width() != width) {
      fail(ErrorKind::data,
           "the index '{}' holds features of {} columns, the voice takes {}; use the voice's own index",
           options.indexes[i], parents.back().index.width(), width);
    }
  }
  const auto fused = fuse_indexes(parents, {.seed = options.seed});
  const auto path = fs::path(options.output).replace_extension(".index");
  fused.index.save(path);
  Json json{{"path", path.string()}, {"vectors", fused.index.size()}, {"equal_left_out", fused.equal}};
  for (std::size_t i = 0; i < parents.size(); ++i) {
    json["parents"].push_back({{"path", parents[i].name},
                               {"sha256", sha256_of_file(parents[i].name)},
                               {"vectors", parents[i].index.size()},
                               {"taken", fused.taken[i]}});
  }
  return json;
}

// {"fused_from": [{name, sha256, ...}], "method", "on", "weights": {part: [...]}}.
Json provenance_of(const FuseOptions& options, const std::vector<ModelSource>& sources,
                   const std::vector<NamedVoice>& voices, const FusedVoice& fused) {
  Json provenance{{"fused_from", Json::array()}, {"method", options.method}, {"on", options.on}};
  for (std::size_t i = 0; i < voices.size(); ++i) {
    const auto& file = voices[i].file;
    Json parent{{"name", sources[i].label}, {"sha256", sha256_of_file(sources[i].file)}, {"epoch", file.epoch}};
    if (sources[i].run) parent["run"] = sources[i].run->id();
    if (!file.provenance.empty()) parent["provenance"] = Json::parse(file.provenance, nullptr, false);
    provenance["fused_from"].push_back(std::move(parent));
  }
  provenance["weights"] = fused.weights;
  if (options.method == "ties") provenance["density"] = options.density;
  provenance["weighted_sum_instead"] = fused.fallbacks;
  provenance["time_utc"] = utc_now();
  return provenance;
}

void write_fused(const FuseOptions& options, ModelFile voice) {
  if (is_pth(options)) {
    const auto network = rvc_voice_config(voice).network;
    voice.weights = unfold_weight_norm(voice.weights, rvc_tensor_shapes(network, {.posterior = false}));
    auto exported = export_voice(voice, {.type = options.dtype});
    write_pth(options.output,
              rvc_tool_voice(voice, std::move(exported.tensors), options.output.stem().string(), utc_now()));
    return;
  }
  if (options.for_training) return write_safetensors_model(options.output, voice);
  auto exported = export_voice(voice, {.type = options.dtype});
  voice.quantization = options.dtype == "int8" ? "int8" : "none";
  write_safetensors_model(options.output, voice, std::move(exported.tensors), {{"dtype", options.dtype}});
}

void print_fused(const Json& result) {
  fmt::print("{}: {}, {} on {} weights\n", result["path"].get<std::string>(),
             format_bytes(result["bytes"].get<std::uint64_t>()), result["method"].get<std::string>(),
             result["on"].get<std::string>());
  for (const auto& parent : result["fused_from"]) {
    fmt::print("  of {}, sha256 {}\n", parent["name"].get<std::string>(),
               parent["sha256"].get<std::string>().substr(0, 12));
  }
  for (const auto& [part, weights] : result["weights"].items()) {
    fmt::print("  {:<8} {:.4g}\n", part, fmt::join(weights.get<std::vector<double>>(), ", "));
  }
  if (const auto n = result["weighted_sum_instead"].size(); n > 0) {
    fmt::print("  {} of tensors have no such mean; their weighted sum was taken\n", n);
  }
  if (const auto& index = result["index"]; !index.is_null()) {
    fmt::print("{}: {} vectors", index["path"].get<std::string>(), index["vectors"].dump());
    for (const auto& parent : index["parents"]) {
      fmt::print(", {} of {}", parent["taken"].dump(), parent["path"].get<std::string>());
    }
    fmt::print("\n");
  }
}

}  // namespace
}  // namespace fuse_detail

int fuse(const FuseOptions& options) {
  using namespace fuse_detail;
  const c10::NoGradGuard no_grad;
  const auto recipe = recipe_of(options);
  check_fuse_options(options);
  std::vector<ModelSource> sources;
  for (const auto& model : options.models) sources.push_back(find_model(options.workspace, model));
  make_labels_distinct(sources);
  std::vector<NamedVoice> voices;
  for (const auto& source : sources) voices.push_back({source.label, read_rvc_voice(source.file)});
  auto fused = fuse_voices(voices, recipe);
  auto result = provenance_of(options, sources, voices, fused);
  const auto index = fuse_index(options, recipe, rvc_voice_config(fused.file).network.content_channels);
  if (!index.is_null()) result["index"] = index;
  fused.file.provenance = json_line(result);
  write_fused(options, std::move(fused.file));
  result["index"] = index;
  result["path"] = options.output.string();
  result["bytes"] = fs::file_size(options.output);
  if (options.json) {
    fmt::print("{}\n", json_line(result));
  } else {
    print_fused(result);
  }
  return 0;
}

}  // namespace melisma
