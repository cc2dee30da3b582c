#include "models/rvc/experiment_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/base/error.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace experiment_config_detail {
namespace {

using Json = nlohmann::ordered_json;
using Numbers = std::vector<std::int64_t>;

// Entries of one section, taken under their names.
class Section {
 public:
  Section(const Json& file, const char* name) : name_(name) {
    if (!file.is_object() || !file.contains(name) || !file[name].is_object()) {
      fail(ErrorKind::checkpoint, "it has no section '{}'; the config.json of an RVC experiment is expected", name);
    }
    entries_ = file[name];
  }
  [[nodiscard]] bool has(const char* key) const { return entries_.contains(key) && !entries_[key].is_null(); }
  template <class Value>
  [[nodiscard]] Value at(const char* key) const {
    if (!has(key)) fail(ErrorKind::checkpoint, "its section '{}' has no '{}'", name_, key);
    try {
      return entries_[key].get<Value>();
    } catch (const nlohmann::json::exception&) {
      fail(ErrorKind::checkpoint, "its {}.{} is {}", name_, key, entries_[key].dump());
    }
  }
  template <class Value>
  [[nodiscard]] Value at_or(const char* key, Value otherwise) const {
    return has(key) ? at<Value>(key) : otherwise;
  }

 private:
  const char* name_;
  Json entries_;
};

void take_sound(const Section& data, RvcConfig& network) {
  network.sample_rate_hz = data.at<std::int64_t>(data.has("sample_rate") ? "sample_rate" : "sampling_rate");
  network.n_fft = data.at<std::int64_t>("filter_length");
  network.hop = data.at<std::int64_t>("hop_length");
  network.window = data.at<std::int64_t>("win_length");
  network.n_mels = data.at<std::int64_t>("n_mel_channels");
  network.mel_fmin = data.at_or("mel_fmin", 0.0);
  network.mel_fmax = data.at_or("mel_fmax", 0.0);
}

void take_sizes(const Section& model, RvcConfig& network) {
  network.inter_channels = model.at<std::int64_t>("inter_channels");
  network.hidden_channels = model.at<std::int64_t>("hidden_channels");
  network.filter_channels = model.at<std::int64_t>("filter_channels");
  network.content_channels = model.at_or("text_enc_hidden_dim", network.content_channels);
  network.n_heads = model.at<std::int64_t>("n_heads");
  network.n_layers = model.at<std::int64_t>("n_layers");
  network.kernel_size = model.at<std::int64_t>("kernel_size");
  network.resblock_kernels = model.at<Numbers>("resblock_kernel_sizes");
  const auto dilations = model.at<std::vector<Numbers>>("resblock_dilation_sizes");
  if (dilations.empty() || std::any_of(dilations.begin(), dilations.end(),
                                       [&](const Numbers& block) { return block != dilations.front(); })) {
    fail(ErrorKind::checkpoint, "its residual blocks have different dilations");
  }
  network.resblock_dilations = dilations.front();
  network.upsample_rates = model.at<Numbers>("upsample_rates");
  network.upsample_initial_channels = model.at<std::int64_t>("upsample_initial_channel");
  network.upsample_kernels = model.at<Numbers>("upsample_kernel_sizes");
  network.speaker_channels = model.at<std::int64_t>("gin_channels");
  network.speakers = model.at<std::int64_t>("spk_embed_dim");
}

}  // namespace
}  // namespace experiment_config_detail

RvcExperimentConfig rvc_experiment_config_of(std::string_view json, std::int64_t content_channels) {
  using namespace experiment_config_detail;
  const auto file = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  const Section train(file, "train"), data(file, "data"), model(file, "model");
  RvcExperimentConfig config;
  config.network.content_channels = content_channels;
  take_sound(data, config.network);
  take_sizes(model, config.network);
  const auto segment = train.at<std::int64_t>("segment_size");
  if (config.network.hop < 1 || segment % config.network.hop != 0) {
    fail(ErrorKind::checkpoint, "its segment_size {} is no multiple of its hop_length {}", segment, config.network.hop);
  }
  config.network.segment_frames = segment / config.network.hop;
  config.learning_rate = train.at_or("learning_rate", config.learning_rate);
  config.lr_decay = train.at_or("lr_decay", config.lr_decay);
  const auto betas = train.at_or("betas", std::vector<double>{config.beta1, config.beta2});
  if (betas.size() != 2) fail(ErrorKind::checkpoint, "its train.betas has {} numbers; two are expected", betas.size());
  config.beta1 = betas[0];
  config.beta2 = betas[1];
  config.eps = train.at_or("eps", config.eps);
  config.mel_weight = train.at_or("c_mel", config.mel_weight);
  config.kl_weight = train.at_or("c_kl", config.kl_weight);
  config.seed = train.at_or("seed", config.seed);
  try {
    check_config(config.network);
  } catch (const Error& error) {
    fail(ErrorKind::checkpoint, "its configuration is impossible: {}", error.message());
  }
  return config;
}

std::string to_experiment_json(const RvcExperimentConfig& config) {
  using experiment_config_detail::Json;
  const auto& network = config.network;
  const Json mel_fmax = network.mel_fmax > 0 ? Json(network.mel_fmax) : Json(nullptr);
  const std::vector dilations(network.resblock_kernels.size(), network.resblock_dilations);
  const Json file{{"train",
                   {{"log_interval", 200},
                    {"seed", config.seed},
                    {"epochs", 20000},
                    {"learning_rate", config.learning_rate},
                    {"betas", {config.beta1, config.beta2}},
                    {"eps", config.eps},
                    {"batch_size", 4},
                    {"fp16_run", false},
                    {"lr_decay", config.lr_decay},
                    {"segment_size", network.segment_samples()},
                    {"init_lr_ratio", 1},
                    {"warmup_epochs", 0},
                    {"c_mel", config.mel_weight},
                    {"c_kl", config.kl_weight}}},
                  {"data",
                   {{"max_wav_value", 32768.0},
                    {"sample_rate", network.sample_rate_hz},
                    {"sampling_rate", network.sample_rate_hz},
                    {"filter_length", network.n_fft},
                    {"hop_length", network.hop},
                    {"win_length", network.window},
                    {"n_mel_channels", network.n_mels},
                    {"mel_fmin", network.mel_fmin},
                    {"mel_fmax", mel_fmax}}},
                  {"model",
                   {{"inter_channels", network.inter_channels},
                    {"hidden_channels", network.hidden_channels},
                    {"filter_channels", network.filter_channels},
                    {"text_enc_hidden_dim", network.content_channels},
                    {"n_heads", network.n_heads},
                    {"n_layers", network.n_layers},
                    {"kernel_size", network.kernel_size},
                    {"p_dropout", 0},
                    {"resblock", "1"},
                    {"resblock_kernel_sizes", network.resblock_kernels},
                    {"resblock_dilation_sizes", dilations},
                    {"upsample_rates", network.upsample_rates},
                    {"upsample_initial_channel", network.upsample_initial_channels},
                    {"upsample_kernel_sizes", network.upsample_kernels},
                    {"use_spectral_norm", false},
                    {"gin_channels", network.speaker_channels},
                    {"spk_embed_dim", network.speakers}}}};
  return json_text(file) + "\n";
}

}  // namespace melisma
