#include "models/weights/pth_model.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "models/weights/weight_norm.h"
#include "tools/base/error.h"

namespace melisma {
namespace pth_model_detail {
namespace {

// Tensors of a dict under their names; anything else in it is an error.
StateDict weights_of(const PickleValue& value, std::string_view where) {
  if (value.dict() == nullptr) {
    fail(ErrorKind::checkpoint, "its '{}' is {}; a dict of tensors is expected", where, value.kind_name());
  }
  StateDict weights;
  for (const auto& [key, item] : value.dict()->items) {
    if (key.text() == nullptr || item.tensor() == nullptr) {
      fail(ErrorKind::checkpoint, "its '{}' holds {} under {}; tensors by name are expected", where, item.kind_name(),
           key.text() == nullptr ? std::string(key.kind_name()) : fmt::format("'{}'", *key.text()));
    }
    weights.add(*key.text(), *item.tensor());
  }
  if (weights.size() == 0) fail(ErrorKind::checkpoint, "its '{}' is empty", where);
  return with_plain_weight_norm_names(std::move(weights));
}

bool is_all_tensors(const PickleValue& root) {
  for (const auto& [key, item] : root.dict()->items) {
    if (key.text() == nullptr || item.tensor() == nullptr) return false;
  }
  return !root.dict()->items.empty();
}

// Everything but weights and optimizer state, as JSON.
std::string contents_of(const PickleValue& root, std::string_view weights_key) {
  PickleDict rest;
  for (const auto& [key, item] : root.dict()->items) {
    if (key.text() == nullptr || *key.text() == weights_key || *key.text() == "optimizer") continue;
    rest.items.emplace_back(key, item);
  }
  return to_json_text(std::make_shared<PickleDict>(std::move(rest)));
}

std::int64_t whole_number(const PickleValue& root, std::string_view key) {
  const auto* value = root.find(key);
  return value != nullptr && value->integer() ? *value->integer() : -1;
}

std::string found_keys(const PickleValue& root) {
  std::string keys;
  int shown = 0;
  for (const auto& [key, item] : root.dict()->items) {
    if (key.text() == nullptr || shown == 8) continue;
    keys += fmt::format("{}'{}'", shown++ == 0 ? "" : ", ", *key.text());
  }
  return keys.empty() ? "nothing" : keys;
}

// Applio's writer keeps a gradient scaler in training checkpoints, and dates its voice models; ddPn08's notes which
// layer of which encoder a voice hears.
std::string layout_of(const PickleValue& root, bool is_checkpoint) {
  if (is_checkpoint) return root.find("scaler") != nullptr ? "applio-checkpoint" : "webui-checkpoint";
  if (root.find("embedder_output_layer") != nullptr || root.find("speaker_info") != nullptr) return "ddpn08";
  return root.find("model_hash") != nullptr || root.find("vocoder") != nullptr ? "applio" : "webui";
}

}  // namespace
}  // namespace pth_model_detail

ModelFile model_from_pth(const PickleValue& root) {
  using namespace pth_model_detail;
  if (root.dict() == nullptr) {
    fail(ErrorKind::checkpoint, "it holds {}; a dict with weights is expected", root.kind_name());
  }
  ModelFile model;
  for (const auto* key : {"weight", "model", "state_dict", "params"}) {
    const auto* value = root.find(key);
    if (value == nullptr || value->dict() == nullptr) continue;
    const std::string_view name(key);
    model.weights = weights_of(*value, name);
    model.contents = contents_of(root, name);
    model.layout = name == "weight" || name == "model" ? layout_of(root, name == "model") : "pytorch";
    model.epoch = whole_number(root, name == "model" ? "iteration" : "epoch");
    model.step = whole_number(root, "step");
    return model;
  }
  if (!is_all_tensors(root)) {
    fail(ErrorKind::checkpoint,
         "it holds no weights: a dict with 'weight' (voice model), 'model' (training checkpoint) or tensors alone is "
         "expected, it has {}",
         found_keys(root));
  }
  model.weights = weights_of(root, "file");
  model.layout = "pytorch";
  return model;
}

}  // namespace melisma
