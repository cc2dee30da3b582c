#include "models/mix/mix_model.h"

#include <nlohmann/json.hpp>

#include "models/weights/quantize.h"
#include "tools/base/error.h"
#include "tools/base/table.h"
#include "tools/config/config.h"

namespace melisma {

ConsoleControls MixModel::predict(const MixInput&) const {
  fail(ErrorKind::internal, "this mixing model has no console: it makes the mix itself");
}

std::unique_ptr<MixModel> make_mix_model(const MixModelConfig& config) {
  return find_row(kMixFamilies, config.family, "family of mixing models").make(config);
}

ModelFile mix_model_file(const MixModel& model, const MixModelConfig& config) {
  auto copy = config;
  ModelFile file;
  file.family = "mix";
  file.config = to_json(schema_of(copy)).dump();
  file.sample_rate_hz = config.sample_rate_hz;
  file.weights = model.state_dict();
  return file;
}

LoadedMixModel load_mix_model(const ModelFile& file) {
  if (file.family != "mix") {
    fail(ErrorKind::checkpoint, "the model is of family '{}'; expected a mixing model",
         file.family.empty() ? "unknown" : file.family);
  }
  const auto object = nlohmann::ordered_json::parse(file.config, nullptr, false);
  if (!object.is_object()) fail(ErrorKind::checkpoint, "the model's configuration is not a JSON object");
  LoadedMixModel loaded;
  try {
    auto schema = schema_of(loaded.config);
    from_json(schema, object, "the model's configuration");
    loaded.model = make_mix_model(loaded.config);
  } catch (const Error& error) {
    throw Error(ErrorKind::checkpoint, error.message());
  }
  loaded.model->load(dequantized(file).weights);
  return loaded;
}

}  // namespace melisma
