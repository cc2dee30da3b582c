#include "train/engine/train_state.h"

#include <nlohmann/json.hpp>

#include "tools/base/error.h"

namespace melisma {

std::string TrainState::to_json() const {
  const nlohmann::ordered_json json{
      {"format_version", 1},
      {"epochs_done", epochs_done},
      {"batches_done", batches_done},
      {"step", step},
      {"samples_seen", samples_seen},
      {"skipped_steps", skipped_steps},
      {"overflowed_steps", overflowed_steps},
      {"loss_scale", loss_scale},
      {"steps_at_scale", steps_at_scale},
      {"seed", seed},
      {"threads", threads},
      {"ranks", ranks},
      {"device", device},
      {"evaluations", nlohmann::ordered_json::parse(evaluations_to_json(evaluations))},
  };
  return json.dump(1) + "\n";
}

TrainState TrainState::from_json(const std::string& text) {
  try {
    const auto json = nlohmann::ordered_json::parse(text);
    TrainState state;
    state.epochs_done = json.at("epochs_done").get<std::int64_t>();
    state.batches_done = json.at("batches_done").get<std::int64_t>();
    state.step = json.at("step").get<std::int64_t>();
    state.samples_seen = json.at("samples_seen").get<std::int64_t>();
    state.skipped_steps = json.at("skipped_steps").get<std::int64_t>();
    state.overflowed_steps = json.value("overflowed_steps", std::int64_t{0});
    state.loss_scale = json.value("loss_scale", 1.0);
    state.steps_at_scale = json.value("steps_at_scale", std::int64_t{0});
    state.seed = json.at("seed").get<std::uint64_t>();
    state.threads = json.at("threads").get<std::int64_t>();
    state.ranks = json.value("ranks", std::int64_t{1});
    state.device = json.value("device", std::string("cpu"));
    state.evaluations = evaluations_from_json(json.at("evaluations").dump());
    return state;
  } catch (const nlohmann::json::exception& problem) {
    fail(ErrorKind::checkpoint, "the training state is damaged: {}", problem.what());
  }
}

}  // namespace melisma
