// HuBERT against transformers' HubertModel: the tiny network with stored weights, the real size with formula weights.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "models/content/hubert.h"
#include "tests/support/formula.h"

namespace melisma {
namespace {

using testing::golden_files;
using testing::golden_folder;
using testing::GoldenFile;
using testing::GoldenTensor;
using testing::near_tensor;

constexpr double kTolerance = 3e-5;

HubertConfig hubert_config_of(const nlohmann::json& json) {
  HubertConfig config;
  config.conv_channels = json["conv_dim"].get<std::vector<std::int64_t>>();
  config.conv_kernels = json["conv_kernel"].get<std::vector<std::int64_t>>();
  config.conv_strides = json["conv_stride"].get<std::vector<std::int64_t>>();
  config.hidden = json["hidden_size"];
  config.n_layers = json["num_hidden_layers"];
  config.n_heads = json["num_attention_heads"];
  config.intermediate = json["intermediate_size"];
  config.position_kernel = json["num_conv_pos_embeddings"];
  config.position_groups = json["num_conv_pos_embedding_groups"];
  config.projection = json["classifier_proj_size"];
  return config;
}

// A fixture with its network.
struct HubertFixture {
  GoldenFile numbers;
  Hubert network;
  std::vector<float> wave;
  std::int64_t mid_layer;

  explicit HubertFixture(const std::filesystem::path& path)
      : numbers(GoldenFile::load(path)),
        network(hubert_config_of(numbers.json("config"))),
        wave(numbers.at("audio_i16").floats()),
        mid_layer(numbers.json("mid_layer")) {
    for (auto& sample : wave) sample /= 32768;
    const auto weights = golden_folder("rvc") / (path.stem().string() + ".weights.safetensors");
    if (std::filesystem::exists(weights)) {
      auto stored = testing::weights_of(GoldenFile::load(weights));
      stored.erase("masked_spec_embed");
      network.load(stored);
    } else {
      StateDict weights_by_formula;
      for (const auto& [name, tensor] : network.state_dict()) {
        weights_by_formula.add(name, testing::formula_weight(numbers.metadata.at("salt"), name, tensor.sizes()));
      }
      network.load(weights_by_formula);
    }
    network.fold(true);
  }
  // The rows and columns that the fixture keeps of a tensor [rows, columns].
  static at::Tensor thinned(const at::Tensor& whole, const GoldenTensor& kept) {
    return whole.slice(1, 0, std::nullopt, whole.size(1) / kept.shape.back()).unsqueeze(0);
  }
  ::testing::AssertionResult agrees(const std::string& name, const at::Tensor& got) const {
    return near_tensor(numbers.at("out." + name), thinned(got, numbers.at("out." + name)), kTolerance);
  }
};

template <class Check>
void for_each_hubert(const Check& check) {
  const auto found = golden_files("rvc", "hubert_", ".safetensors");
  if (!found.has_topic) GTEST_SKIP() << "no golden/rvc";
  for (const auto& path : found.files) {
    if (path.filename().string().find(".weights.") != std::string::npos) continue;
    SCOPED_TRACE(path.filename().string());
    check(HubertFixture(path));
  }
}

// Frames of the sample counts that the fixture lists.
void expect_frame_counts(const HubertFixture& f) {
  const auto& samples = f.numbers.at("frames.samples").values;
  const auto& counts = f.numbers.at("frames.count").values;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    EXPECT_EQ(f.network.config().n_frames(static_cast<std::int64_t>(samples[i])), static_cast<std::int64_t>(counts[i]))
        << samples[i];
  }
}

TEST(GoldenHubert, StagesOutputsAndFrameCountsMatchTransformers) {
  for_each_hubert([](const HubertFixture& f) {
    expect_frame_counts(f);
    const auto convolved = f.network.convolved(f.wave);
    const auto& cnn = f.numbers.at("out.cnn");  // [1, some channels, frames]
    const auto rows = convolved.t().slice(0, 0, std::nullopt, convolved.size(1) / cnn.shape[1]).unsqueeze(0);
    EXPECT_TRUE(near_tensor(cnn, rows, kTolerance));
    const std::vector<std::int64_t> lengths{convolved.size(0)};
    const auto entering = f.network.embedded(convolved, lengths);
    EXPECT_TRUE(f.agrees("h0", entering));
    EXPECT_TRUE(f.agrees("h_mid", f.network.encoded(entering, lengths, f.mid_layer)));
    // As the RVC tools take them: the last layer for v2, a middle one projected for v1 (the last one in Applio).
    const std::vector<std::span<const float>> waves{f.wave};
    const auto n_layers = f.network.config().n_layers;
    EXPECT_TRUE(f.agrees("last", f.network(waves, {.layer = n_layers})[0]));
    EXPECT_TRUE(f.agrees("v1_webui", f.network(waves, {.layer = f.mid_layer, .projection = true})[0]));
    EXPECT_TRUE(f.agrees("v1_applio", f.network(waves, {.layer = n_layers, .projection = true})[0]));
  });
}

TEST(GoldenHubert, NamesAndShapesAreThoseOfTheRealFile) {
  const auto path = golden_folder("rvc") / "hubert_base.keys.txt";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no golden/rvc";
  std::map<std::string, std::string> expected, got;
  std::ifstream file(path);
  for (std::string name, shape; file >> name >> shape;) {
    if (name != "masked_spec_embed") expected[name] = shape;
  }
  for (const auto& [name, tensor] : Hubert(HubertConfig{}).state_dict()) {
    for (const auto size : tensor.sizes()) got[name] += (got[name].empty() ? "" : "x") + std::to_string(size);
  }
  EXPECT_EQ(got, expected);
}

}  // namespace
}  // namespace melisma
