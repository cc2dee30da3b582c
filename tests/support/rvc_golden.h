// What the RVC golden tests share: the peers' configuration lists, and networks filled by formula.
#pragma once
#include <ATen/ATen.h>

#include <string>

#include "models/layers/module.h"
#include "models/rvc/config.h"
#include "models/rvc/synthesizer.h"
#include "tests/support/formula.h"

namespace melisma::testing {

// The 18-item configuration list of the RVC tools.
inline RvcConfig rvc_config_of(const nlohmann::json& list, std::int64_t content_channels) {
  RvcConfig config;
  config.n_fft = config.window = 2 * (list[0].get<std::int64_t>() - 1);
  config.segment_frames = list[1];
  config.inter_channels = list[2];
  config.hidden_channels = list[3];
  config.filter_channels = list[4];
  config.n_heads = list[5];
  config.n_layers = list[6];
  config.kernel_size = list[7];
  config.resblock_kernels = list[10].get<std::vector<std::int64_t>>();
  config.resblock_dilations = list[11][0].get<std::vector<std::int64_t>>();
  config.upsample_rates = list[12].get<std::vector<std::int64_t>>();
  config.upsample_initial_channels = list[13];
  config.upsample_kernels = list[14].get<std::vector<std::int64_t>>();
  config.speakers = list[15];
  config.speaker_channels = list[16];
  config.sample_rate_hz = list[17];
  config.hop = config.sample_rate_hz / 100;
  config.content_channels = content_channels;
  return config;
}

inline void fill_by_formula(Module& module, const std::string& salt) {
  StateDict weights;
  for (const auto& [name, tensor] : module.state_dict()) {
    weights.add(name, formula_weight(salt, name, tensor.sizes()));
  }
  module.load(weights);
}

}  // namespace melisma::testing
