// What the layers inside a synthesizer give, against the intermediate results of the fixtures (infer.trace.*).
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <map>

#include "models/rvc/synthesizer.h"
#include "tests/support/rvc_golden.h"

namespace melisma {
namespace {

using testing::golden_files;
using testing::GoldenFile;
using testing::near_tensor;
using testing::tensor_of;

using Trace = std::map<std::string, at::Tensor>;

// One synthesizer of a fixture taken apart: layers made one by one and loaded with the weights under their names.
class Parts {
 public:
  Parts(const GoldenFile& numbers, const GoldenFile& weights)
      : numbers_(numbers),
        weights_(weights),
        config_(testing::rvc_config_of(numbers.json("config"), numbers.metadata.at("version") == "v1" ? 256 : 768)) {}

  // The text encoder's layers in order.
  [[nodiscard]] Trace text_encoder() {
    Trace trace;
    const auto mask = sequence_mask(input("phone_lengths"), input("pitch").size(1), at::kFloat);
    const auto attention_mask = mask.unsqueeze(2) * mask.unsqueeze(-1);
    const auto hidden = config_.hidden_channels;
    auto x = make<Linear>("enc_p.emb_phone", config_.content_channels, hidden)(input("phone"));
    x = x + make<Embedding>("enc_p.emb_pitch", 256, hidden)(input("pitch"));
    x = at::leaky_relu(x * std::sqrt(static_cast<double>(hidden)), 0.1).transpose(1, 2) * mask;
    for (std::int64_t i = 0; i < config_.n_layers; ++i) {
      const auto layer = [&](const char* name) { return std::string(name) + "." + std::to_string(i); };
      const auto keep = [&](const char* name, const at::Tensor& value) {
        return trace["enc_p." + layer(name)] = value;
      };
      const auto attended = keep("attn_layers", make<RelativeAttention>("enc_p.encoder." + layer("attn_layers"), hidden,
                                                                        config_.n_heads)(x, attention_mask));
      x = keep("norm_layers_1",
               make<ChannelLayerNorm>("enc_p.encoder." + layer("norm_layers_1"), hidden)(x + attended));
      const auto fed = keep("ffn_layers", make<FeedForward>("enc_p.encoder." + layer("ffn_layers"), hidden,
                                                            config_.filter_channels, config_.kernel_size)(x, mask));
      x = keep("norm_layers_2", make<ChannelLayerNorm>("enc_p.encoder." + layer("norm_layers_2"), hidden)(x + fed));
    }
    return trace;
  }

  // The decoder's layers in order, from the recorded latent.
  [[nodiscard]] Trace decoder() {
    Trace trace;
    const auto first = config_.upsample_initial_channels;
    const auto keep = [&](const std::string& name, const at::Tensor& value) { return trace["dec." + name] = value; };
    const auto speaker = make<Embedding>("emb_g", config_.speakers, config_.speaker_channels)(input("sid"));
    const SourceModule& source = make<SourceModule>("dec.m_source", config_.sample_rate_hz, config_.hop);
    const auto excitation = source(input("pitchf"), {tensor_of(numbers_.at("infer.rnd.source")), {}});
    const ConvOptions pre{.kernel = 7, .padding = 3};
    auto x = keep("conv_pre", make<Conv1d>("dec.conv_pre", config_.inter_channels, first,
                                           pre)(tensor_of(numbers_.at("infer.out.z")))) +
             keep("cond", make<Conv1d>("dec.cond", config_.speaker_channels, first)(speaker.unsqueeze(-1)));
    auto factor = config_.hop;
    for (std::size_t stage = 0; stage < config_.upsample_rates.size(); ++stage) {
      const auto number = std::to_string(stage);
      const auto rate = config_.upsample_rates[stage], kernel = config_.upsample_kernels[stage];
      const auto channels = first >> (stage + 1);
      const ConvOptions up{.kernel = kernel, .stride = rate, .padding = (kernel - rate) / 2, .weight_norm = true};
      factor /= rate;
      const ConvOptions down{.kernel = factor > 1 ? 2 * factor : 1, .stride = factor, .padding = factor / 2};
      x = keep("ups." + number,
               make<ConvTranspose1d>("dec.ups." + number, 2 * channels, channels, up)(at::leaky_relu(x, 0.1)));
      x = x + keep("noise_convs." + number, make<Conv1d>("dec.noise_convs." + number, 1, channels, down)(excitation));
      at::Tensor sum = at::zeros_like(x);
      for (std::size_t block = 0; block < config_.resblock_kernels.size(); ++block) {
        const auto name = "resblocks." + std::to_string(stage * config_.resblock_kernels.size() + block);
        sum += keep(name, make<ResidualBlock>("dec." + name, channels, config_.resblock_kernels[block],
                                              config_.resblock_dilations)(x));
      }
      x = sum / static_cast<double>(config_.resblock_kernels.size());
    }
    return trace;
  }

 private:
  [[nodiscard]] at::Tensor input(const std::string& name) const { return tensor_of(numbers_.at("infer.in." + name)); }

  // The layer lives until the end of the test.
  template <class Layer, class... Args>
  const Layer& make(const std::string& name, Args&&... args) {
    auto layer = std::make_unique<Layer>(std::forward<Args>(args)...);
    layer->load(testing::weights_of(weights_, name + "."));
    const auto& made = *layer;
    layers_.push_back(std::move(layer));
    return made;
  }

  const GoldenFile &numbers_, &weights_;
  RvcConfig config_;
  std::vector<std::unique_ptr<Module>> layers_;
};

TEST(GoldenSynthesizer, EveryLayerGivesWhatItGivesInTheRvcTools) {
  const auto found = golden_files("rvc", "synth_", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no golden/rvc";
  const c10::NoGradGuard no_grad;
  std::size_t n_compared = 0;
  for (const auto& path : found.files) {
    if (path.filename().string().find(".weights.") != std::string::npos) continue;
    const auto numbers = GoldenFile::load(path);
    const std::string prefix = "infer.trace.";
    if (numbers.tensors.lower_bound(prefix) == numbers.tensors.end() ||
        !numbers.tensors.lower_bound(prefix)->first.starts_with(prefix)) {
      continue;  // only some fixtures name intermediate results
    }
    SCOPED_TRACE(path.filename().string());
    auto beside = path;
    const auto weights = GoldenFile::load(beside.replace_extension(".weights.safetensors"));
    Parts parts(numbers, weights);
    auto trace = parts.text_encoder();
    trace.merge(parts.decoder());
    for (const auto& [name, expected] : numbers.tensors) {
      if (!name.starts_with(prefix)) continue;
      const auto got = trace.find(name.substr(prefix.size()));
      ASSERT_NE(got, trace.end()) << name << " is compared with nothing";
      EXPECT_TRUE(near_tensor(expected, got->second, 1e-5)) << name;
      ++n_compared;
    }
  }
  EXPECT_GE(n_compared, 17u);
}

}  // namespace
}  // namespace melisma
