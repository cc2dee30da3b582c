#include "tools/bench/random_models.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "models/content/hubert.h"
#include "models/retrieval/feature_index.h"
#include "models/rvc/synthesizer.h"
#include "models/rvc/voice_export.h"
#include "models/rvc/voice_file.h"
#include "models/weights/pth_file.h"
#include "models/weights/safetensors.h"
#include "tools/base/seed.h"

namespace melisma {
namespace random_models_detail {
namespace {

at::Generator generator(std::string_view what) { return at::detail::createCPUGenerator(seed_of(0, what, {})); }

}  // namespace
}  // namespace random_models_detail

void write_random_hubert(const std::filesystem::path& path) {
  Hubert network{HubertConfig{}};
  auto random = random_models_detail::generator("hubert");
  network.initialise(random);
  write_safetensors(path, network.state_dict(), {});
}

void write_random_voice(const std::filesystem::path& path) {
  const c10::NoGradGuard no_grad;
  const auto config = rvc_v2_40k();
  Synthesizer network(config, {.posterior = false});
  auto random = random_models_detail::generator("voice");
  network.initialise(random);
  ModelFile voice{.weights = network.state_dict(),
                  .family = "rvc",
                  .config = to_canonical_json(RvcVoiceConfig{.network = config}),
                  .sample_rate_hz = config.sample_rate_hz};
  auto exported = export_voice(voice, {.type = "fp16"});
  write_pth(path, rvc_tool_voice(voice, std::move(exported.tensors), "random", ""));
}

void write_random_index(const std::filesystem::path& path, std::int64_t rows) {
  constexpr std::int64_t kColumns = 768;
  auto random = random_models_detail::generator("index");
  FeatureIndex::build(at::randn({rows, kColumns}, random, at::TensorOptions().dtype(at::kFloat))).save(path);
}

}  // namespace melisma
