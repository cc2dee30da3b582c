#include "train/engine/checkpoint.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "models/weights/model_file.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

fs::path network_file(const TrainingParts& parts, const fs::path& folder, const Network& network) {
  return folder / (network.name == parts.task.main_network() ? "model.safetensors" : network.name + ".safetensors");
}

const Network& main_network_of(const TrainingParts& parts) {
  for (const auto& turn : parts.turns) {
    if (turn.network.name == parts.task.main_network()) return turn.network;
  }
  fail(ErrorKind::internal, "the task names '{}' as its main network and has none of that name",
       parts.task.main_network());
}

void load_network(const fs::path& file, Module& module) {
  with_context(fmt::format("reading '{}'", file.string()), [&] { module.load(read_model(file).weights); });
}

// Tensors that are no model of their own: another network, or moments.
ModelFile auxiliary_file(std::string what, StateDict tensors) {
  ModelFile file;
  file.family = std::move(what);
  file.config = "{}";
  file.weights = std::move(tensors);
  return file;
}

// As they are written: from wherever they are computed.
StateDict on_cpu(const StateDict& tensors) {
  StateDict copies;
  for (const auto& [name, tensor] : tensors) copies.add(name, tensor.to(at::kCPU));
  return copies;
}

StateDict optimizer_states(const std::vector<Turn>& turns) {
  StateDict all;
  for (const auto& turn : turns) {
    for (const auto& [name, tensor] : turn.optimizer->state()) all.add(turn.network.name + "/" + name, tensor);
  }
  return all;
}

void load_optimizers(const fs::path& file, std::vector<Turn>& turns) {
  const auto all = read_model(file).weights;
  for (auto& turn : turns) {
    const auto prefix = turn.network.name + "/";
    StateDict own;
    for (const auto& [name, tensor] : all) {
      if (name.starts_with(prefix)) own.add(name.substr(prefix.size()), tensor);
    }
    with_context(fmt::format("reading '{}' for {}", file.string(), turn.network.name),
                 [&] { turn.optimizer->load(own); });
  }
}

}  // namespace

void write_training_files(const fs::path& folder, const TrainingParts& parts, const TrainState& state,
                          const std::string& metrics) {
  const auto complete = [&](ModelFile file) {
    file.epoch = state.epoch();
    file.step = state.step;
    file.metrics = metrics;
    file.weights = on_cpu(file.weights);
    return file;
  };
  write_safetensors_model(folder / "model.safetensors", complete(parts.task.model_file()));
  if (parts.average != nullptr) {
    const AveragedWeights in_place(parts.average);
    write_safetensors_model(folder / "ema.safetensors", complete(parts.task.model_file()));
  }
  for (const auto& turn : parts.turns) {
    if (turn.network.name == parts.task.main_network()) continue;
    write_safetensors_model(network_file(parts, folder, turn.network),
                            complete(auxiliary_file(turn.network.name, turn.network.module->state_dict())));
  }
  write_safetensors_model(folder / "optimizer.safetensors",
                          complete(auxiliary_file("optimizer", optimizer_states(parts.turns))));
  write_file_atomically(folder / "state.json", state.to_json());
}

TrainState read_training_files(const fs::path& folder, const TrainingParts& parts) {
  auto state = with_context(fmt::format("reading '{}'", (folder / "state.json").string()),
                            [&] { return TrainState::from_json(read_file(folder / "state.json")); });
  if (parts.average != nullptr) {
    load_network(folder / "ema.safetensors", *main_network_of(parts).module);
    parts.average->take_weights();
  }
  for (const auto& turn : parts.turns) load_network(network_file(parts, folder, turn.network), *turn.network.module);
  load_optimizers(folder / "optimizer.safetensors", parts.turns);
  return state;
}

}  // namespace melisma
