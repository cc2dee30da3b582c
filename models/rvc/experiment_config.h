// config.json in an experiment folder of the RVC tools: sizes, sound and learning rates, read and written.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "models/rvc/config.h"

namespace melisma {

// What the file says beside the network. Defaults are the tools'.
struct RvcExperimentConfig {
  RvcConfig network;
  double learning_rate = 1e-4, lr_decay = 0.999875;  // the decay is per epoch
  double beta1 = 0.8, beta2 = 0.99, eps = 1e-9;
  double mel_weight = 45, kl_weight = 1;
  std::int64_t seed = 1234;
};

// Of Applio (data.sample_rate, model.text_enc_hidden_dim) or RVC-WebUI (data.sampling_rate); where the file does not
// say how wide the content is, `content_channels` stands. Throws Error(checkpoint) naming the entry that is missing or
// odd.
[[nodiscard]] RvcExperimentConfig rvc_experiment_config_of(std::string_view json, std::int64_t content_channels);

// As Applio keeps it, with the names of both tools where they differ.
[[nodiscard]] std::string to_experiment_json(const RvcExperimentConfig& config);

}  // namespace melisma
