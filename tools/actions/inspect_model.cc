#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "models/retrieval/feature_index.h"
#include "models/rvc/voice_file.h"
#include "models/weights/pth_file.h"
#include "models/weights/pth_model.h"
#include "models/weights/torch_adam.h"
#include "tools/actions/inspect_action.h"
#include "tools/actions/model_source.h"
#include "tools/base/error.h"
#include "tools/base/metrics_file.h"

namespace melisma {
namespace {

using Json = nlohmann::ordered_json;

// A text of JSON as JSON; what is none stays a text, nothing stays null.
Json parsed(const std::string& text) {
  if (text.empty()) return nullptr;
  auto json = Json::parse(text, nullptr, false);
  return json.is_discarded() ? Json(text) : json;
}

struct PartFacts {
  std::int64_t tensors = 0, parameters = 0;
  double sum_of_squares = 0;
};

// How many numbers are stored in which type.
Json types_of(const StateDict& weights) {
  std::map<std::string, std::int64_t> types;
  for (const auto& [name, tensor] : weights) types[c10::toString(tensor.scalar_type())] += tensor.numel();
  return types;
}

// Sizes and norms by part: "dec", "flow", ...
Json facts_of(const StateDict& weights) {
  std::vector<std::string> order;
  std::map<std::string, PartFacts> parts;
  std::int64_t total = 0;
  for (const auto& [name, tensor] : weights) {
    const auto part = name.substr(0, name.find('.'));
    if (!parts.contains(part)) order.push_back(part);
    auto& facts = parts[part];
    const auto values = tensor.to(at::kFloat);
    facts.tensors += 1;
    facts.parameters += tensor.numel();
    facts.sum_of_squares += std::pow(at::linalg_vector_norm(values).item<double>(), 2);
    total += tensor.numel();
  }
  auto rows = Json::array();
  for (const auto& part : order) {
    const auto& facts = parts[part];
    rows.push_back({{"name", part},
                    {"tensors", facts.tensors},
                    {"parameters", facts.parameters},
                    {"norm", std::sqrt(facts.sum_of_squares)}});
  }
  return {{"tensors", weights.size()}, {"parameters", total}, {"parts", rows}};
}

// What the optimizer of a training checkpoint (.pth) remembers; null for files without one.
Json optimizer_of(const PickleValue* optimizer) {
  if (optimizer == nullptr || optimizer->is_none()) return nullptr;
  TorchAdam adam;
  try {
    adam = torch_adam_of(*optimizer);
  } catch (const Error& error) {
    return {{"kind", "unknown"}, {"problem", error.message()}};
  }
  const auto& settings = adam.settings;
  double steps = 0;
  std::int64_t with_state = 0;
  std::map<std::string, std::int64_t> types;
  for (const auto& moments : adam.parameters) {
    if (!moments) continue;
    ++with_state;
    steps = std::max(steps, moments->step);
    types[c10::toString(moments->exp_avg.scalar_type())] += 2 * moments->exp_avg.numel();
  }
  return {{"kind", "Adam or AdamW"},  // their states look alike
          {"steps", static_cast<std::int64_t>(steps)},
          {"learning_rate", settings.lr},
          {"initial_learning_rate", settings.initial_lr ? Json(*settings.initial_lr) : Json(nullptr)},
          {"betas", {settings.beta1, settings.beta2}},
          {"eps", settings.eps},
          {"weight_decay", settings.weight_decay},
          {"parameters", adam.parameters.size()},
          {"parameters_with_state", with_state},
          {"moments", types}};
}

// Held-out scores of a run, epoch by epoch.
Json curve_of(const Run& run) {
  const auto status = run.status();
  auto points = Json::array();
  for (const auto& line : read_metrics_file(run.metrics())) {
    for (const auto& [name, value] : line.values) {
      if (name == "validation/" + status.metric) points.push_back({{"epoch", line.epoch}, {status.metric, value}});
    }
  }
  return {{"run", run.id()},
          {"state", status.state},
          {"metric", status.metric},
          {"best_epoch", status.best_epoch},
          {"best_score", status.best_score},
          {"held_out", points}};
}

// Of the run the model is in, or was extracted from if the workspace still has it; null for other models.
Json training_of(const ModelSource& source, const Json& provenance, const std::filesystem::path& workspace) {
  if (source.run) return curve_of(*source.run);
  if (!provenance.is_object() || !provenance.contains("run") || !provenance["run"].is_string()) return nullptr;
  try {
    return curve_of(Run::open(workspace, provenance["run"].get<std::string>()));
  } catch (const Error&) {  // the run is elsewhere
    return nullptr;
  }
}

}  // namespace

Json inspected_model(const InspectOptions& options) {
  const c10::NoGradGuard no_grad;
  const auto source = find_model(options.workspace, options.subject, options.epoch);
  Json optimizer;
  ModelFile stored;
  if (looks_like_pth(source.file)) {
    const auto root = read_pth(source.file);
    stored = with_context(fmt::format("reading '{}'", source.file.string()), [&] { return model_from_pth(root); });
    optimizer = optimizer_of(root.find("optimizer"));
  } else {
    stored = read_model(source.file);
  }
  const bool is_discriminator = stored.weights.contains("discriminators.0.convs.0.bias");
  const auto model = is_discriminator ? stored : as_rvc_voice(stored, rate_beside(source.file, stored));
  Json result{{"what", "model"},
              {"path", source.file.string()},
              {"label", source.label},
              {"bytes", std::filesystem::file_size(source.file)},
              {"family", is_discriminator ? "rvc discriminator" : model.family},
              {"layout", model.layout},
              {"sample_rate_hz", model.sample_rate_hz},
              {"quantization", stored.quantization},
              {"epoch", model.epoch},
              {"step", model.step}};
  result["types"] = types_of(stored.layout == model.layout ? stored.weights : model.weights);
  result.update(facts_of(model.weights));
  result["config"] = parsed(model.config);
  result["contents"] = parsed(model.contents);
  result["info"] = parsed(model.info);
  result["metrics"] = parsed(model.metrics);
  result["provenance"] = parsed(model.provenance);
  result["optimizer"] = optimizer;
  result["training"] = training_of(source, result["provenance"], options.workspace);
  return result;
}

Json inspected_index(const std::filesystem::path& path) {
  const auto index = FeatureIndex::load(path);
  return {{"what", "index"},         {"path", path.string()},    {"bytes", std::filesystem::file_size(path)},
          {"vectors", index.size()}, {"columns", index.width()}, {"lists", index.n_lists()}};
}

}  // namespace melisma
