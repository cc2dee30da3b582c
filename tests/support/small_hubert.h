// HuBERT encoders small enough for tests, with drawn weights.
#pragma once
#include <ATen/CPUGeneratorImpl.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "models/content/hubert.h"
#include "models/weights/safetensors.h"
#include "tests/support/golden.h"

namespace melisma::testing {

// A few ten thousand weights, 64 columns, a projection to 16.
inline HubertConfig small_hubert_config() {
  HubertConfig config;
  config.conv_channels = std::vector<std::int64_t>(7, 8);
  config.hidden = 64;
  config.n_heads = 1;
  config.n_layers = 2;
  config.intermediate = 32;
  config.position_kernel = 16;
  config.position_groups = 4;
  config.projection = 16;
  return config;
}

inline std::unique_ptr<Hubert> drawn_hubert(const HubertConfig& config = small_hubert_config(),
                                            std::uint64_t seed = 11) {
  auto network = std::make_unique<Hubert>(config);
  auto generator = at::detail::createCPUGenerator(seed);
  network->initialise(generator);
  network->fold(true);
  return network;
}

// Its weights as a file; returns the path.
inline std::filesystem::path write_hubert(const std::filesystem::path& path, const Hubert& network) {
  write_safetensors(path, network.state_dict(), {});
  return path;
}

inline std::vector<float> noise_wave(std::int64_t n, std::uint32_t seed) {
  Lcg lcg(seed);
  std::vector<float> wave(static_cast<std::size_t>(n));
  for (auto& sample : wave) sample = static_cast<float>(0.3 * lcg.next());
  return wave;
}

}  // namespace melisma::testing
