// A voice of a few thousand random weights, as a model file.
#pragma once
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "models/rvc/voice_model.h"

namespace melisma::testing {

inline RvcConfig narrow_voice() {
  auto config = rvc_v2_40k();
  config.content_channels = 20;
  config.inter_channels = config.hidden_channels = 8;
  config.filter_channels = 16;
  config.n_layers = config.posterior_layers = 2;
  config.speakers = 3;
  config.speaker_channels = 4;
  config.upsample_initial_channels = 16;
  return config;
}

inline ModelFile narrow_model(std::uint64_t seed, const SynthesizerForm& form = {}) {
  Synthesizer network(narrow_voice(), form);
  auto generator = at::detail::createCPUGenerator(seed);
  network.initialise(generator);
  ModelFile file;
  file.family = "rvc";
  for (const auto& [name, tensor] : network.state_dict()) file.weights.add(name, tensor.clone());
  file.config = to_canonical_json({narrow_voice(), R"({"method":"cepstral","bands":40})", "", {"ann", "bob"}});
  return file;
}

}  // namespace melisma::testing
