#include "models/content/hubert_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "models/weights/pth_file.h"
#include "models/weights/safetensors.h"
#include "tests/support/small_hubert.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::drawn_hubert;
using ::testing::HasSubstr;
using testing::noise_wave;
using testing::small_hubert_config;
using testing::TemporaryFolder;

// fairseq's name of a Hugging Face name, written out by hand rather than by the table under test.
std::string fairseq_name(std::string name) {
  const auto swap = [&](const std::string& from, const std::string& to) {
    if (const auto at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
  };
  if (name.starts_with("encoder.layers.")) {
    swap(".layer_norm.", ".self_attn_layer_norm.");
    swap(".attention.", ".self_attn.");
    swap(".feed_forward.intermediate_dense.", ".fc1.");
    swap(".feed_forward.output_dense.", ".fc2.");
  } else if (name.starts_with("feature_extractor.")) {
    swap(".conv.weight", ".0.weight");
    swap(".layer_norm.", ".2.");
  } else {
    swap("feature_projection.layer_norm.", "layer_norm.");
    swap("feature_projection.projection.", "post_extract_proj.");
    swap("encoder.pos_conv_embed.conv.", "encoder.pos_conv.0.");
  }
  return name;
}

template <class Rename>
StateDict renamed(const StateDict& weights, const Rename& rename) {
  StateDict made;
  for (const auto& [name, tensor] : weights) made.add(rename(name), tensor);
  return made;
}

at::Tensor features_of(const Hubert& network) {
  const auto wave = noise_wave(8000, 3);
  const std::vector<std::span<const float>> waves{wave};
  return network(waves, {.layer = 2, .projection = true})[0];
}

class HubertFiles : public ::testing::Test {
 protected:
  fs::path write(const std::string& name, const StateDict& weights) {
    write_safetensors(folder_ / name, weights, {});
    return folder_ / name;
  }
  // The message of the checkpoint error that loading gives.
  std::string refusal(const fs::path& path) {
    try {
      (void)load_hubert(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::checkpoint) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(path.filename().string()));
      return error.what();
    }
    ADD_FAILURE() << path << " was accepted";
    return "";
  }
  TemporaryFolder folder_;
  std::unique_ptr<Hubert> network_ = drawn_hubert();
  StateDict weights_ = network_->state_dict();
};

TEST_F(HubertFiles, ConfigurationFollowsFromTheShapes) {
  const auto read = load_hubert(write("plain.safetensors", weights_));
  EXPECT_EQ(read->config(), small_hubert_config());
  EXPECT_TRUE(at::equal(features_of(*read), features_of(*network_)));
}

TEST_F(HubertFiles, ALoadedNetworkHoldsTheWeightsOfItsLayersOnce) {
  const auto read = load_hubert(write("plain.safetensors", weights_));
  EXPECT_EQ(read->state_dict().at("encoder.layers.0.feed_forward.output_dense.weight").numel(), 0);
  try {
    read->fold(true);
    FAIL() << "weights that are gone were packed again";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal) << error.what();
  }
}

TEST_F(HubertFiles, EverySpellingIsTheSameNetwork) {
  const auto expected = features_of(*network_);
  const auto parametrized = [](std::string name) {
    if (name.ends_with("weight_g")) return name.replace(name.size() - 8, 8, "parametrizations.weight.original0");
    if (name.ends_with("weight_v")) return name.replace(name.size() - 8, 8, "parametrizations.weight.original1");
    return name;
  };
  auto fairseq = renamed(weights_, fairseq_name);
  fairseq.add("mask_emb", at::zeros({64}));
  fairseq.add("label_embs_concat", at::zeros({504, 16}));
  auto hugging_face = renamed(weights_, parametrized);
  hugging_face.add("masked_spec_embed", at::zeros({64}));
  const auto inside = [](const char* prefix) {
    return [prefix](const std::string& name) { return name.starts_with("final_proj") ? name : prefix + name; };
  };
  const std::vector<std::pair<std::string, StateDict>> spellings{
      {"fairseq", fairseq},
      {"parametrized", hugging_face},
      {"hubert", renamed(weights_, inside("hubert."))},
      {"w2v_model", renamed(renamed(weights_, fairseq_name), inside("w2v_model."))},
      {"w2v_encoder", renamed(renamed(weights_, fairseq_name), inside("w2v_encoder.w2v_model."))},
  };
  for (const auto& [name, weights] : spellings) {
    EXPECT_NE(renamed(weights_, fairseq_name).items()[0].first, weights_.items()[0].first);
    const auto read = load_hubert(write(name + ".safetensors", weights));
    EXPECT_TRUE(at::equal(features_of(*read), expected)) << name;
  }
}

TEST_F(HubertFiles, PlainPositionWeightsAreTakenApart) {
  const auto v = weights_.at("encoder.pos_conv_embed.conv.weight_v"),
             g = weights_.at("encoder.pos_conv_embed.conv.weight_g");
  auto folded = weights_;
  folded.erase("encoder.pos_conv_embed.conv.weight_g");
  folded.erase("encoder.pos_conv_embed.conv.weight_v");
  folded.add("encoder.pos_conv_embed.conv.weight", v * (g / at::linalg_vector_norm(v, 2, {0, 1}, true)));
  const auto read = load_hubert(write("folded.safetensors", folded));
  EXPECT_LT((features_of(*read) - features_of(*network_)).abs().max().item<double>(), 1e-5);
}

TEST_F(HubertFiles, PytorchFilesAreReadAsPickles) {
  auto dict = std::make_shared<PickleDict>();
  for (const auto& [name, tensor] : weights_) dict->set(name, tensor);
  write_pth(folder_ / "pytorch_model.bin", dict);
  const auto bare = load_hubert(locate_weights(folder_.path().string()));
  EXPECT_TRUE(at::equal(features_of(*bare), features_of(*network_)));
  auto root = std::make_shared<PickleDict>(), model = std::make_shared<PickleDict>();
  for (const auto& [name, tensor] : renamed(weights_, fairseq_name)) model->set(name, tensor);
  root->set("args", PickleValue());
  root->set("model", model);
  write_pth(folder_ / "hubert_base.pt", root);
  const auto checkpoint = load_hubert(folder_ / "hubert_base.pt");
  EXPECT_TRUE(at::equal(features_of(*checkpoint), features_of(*network_)));
}

TEST_F(HubertFiles, ConfigJsonCompletesWhatShapesDoNotTell) {
  const auto path = write("model.safetensors", weights_);
  write_file_atomically(folder_ / "config.json", R"({"num_attention_heads": 4, "layer_norm_eps": 1e-6})");
  const auto read = load_hubert(path);
  EXPECT_EQ(read->config().n_heads, 4);
  EXPECT_EQ(read->config().layer_norm_eps, 1e-6);
  write_file_atomically(folder_ / "config.json", R"({"hidden_size": 768})");
  EXPECT_THAT(refusal(path), HasSubstr("config.json says hidden_size = 768; expected 64"));
  write_file_atomically(folder_ / "config.json", R"({"do_stable_layer_norm": true})");
  EXPECT_THAT(refusal(path), HasSubstr("config.json says do_stable_layer_norm = true; expected false"));
  write_file_atomically(folder_ / "config.json", R"({"num_attention_heads": "many"})");
  EXPECT_THAT(refusal(path), HasSubstr("config.json cannot be used"));
  write_file_atomically(folder_ / "config.json", "{");
  EXPECT_THAT(refusal(path), HasSubstr("config.json is not a JSON object"));
}

TEST_F(HubertFiles, WhatIsWrongIsNamed) {
  const auto changed = [&](const std::string& name, const at::Tensor& tensor) {
    auto weights = weights_;
    weights.replace(name, tensor);
    return weights;
  };
  auto missing = weights_;
  missing.erase("encoder.layers.1.layer_norm.bias");
  EXPECT_THAT(refusal(write("missing.safetensors", missing)), HasSubstr("encoder.layers.1.layer_norm.bias"));
  auto unknown = weights_;
  unknown.add("encoder.layers.1.adapter.weight", at::zeros({3}));
  EXPECT_THAT(refusal(write("unknown.safetensors", unknown)), HasSubstr("encoder.layers.1.adapter.weight"));
  EXPECT_THAT(
      refusal(write("shape.safetensors", changed("encoder.layers.0.attention.k_proj.weight", at::zeros({64, 63})))),
      HasSubstr("'encoder.layers.0.attention.k_proj.weight' is [64,63] in the file but [64,64] in the model"));
  EXPECT_THAT(refusal(write("flat.safetensors", changed("feature_projection.projection.weight", at::zeros({64})))),
              HasSubstr("'feature_projection.projection.weight' is [64]; expected 2 dimensions"));
  EXPECT_THAT(refusal(write("nan.safetensors", changed("final_proj.bias", at::full({16}, std::nanf(""))))),
              HasSubstr("'final_proj.bias' holds values that are not finite"));
  auto large = weights_;
  large.add("feature_extractor.conv_layers.1.layer_norm.weight", at::ones({8}));
  EXPECT_THAT(refusal(write("large.safetensors", large)), HasSubstr("as in HuBERT large"));
  StateDict voice;
  voice.add("enc_p.emb_phone.weight", at::zeros({2, 2}));
  EXPECT_THAT(refusal(write("voice.safetensors", voice)),
              HasSubstr("there is no tensor 'feature_extractor.conv_layers.0.conv.weight' among its 1"));
}

TEST_F(HubertFiles, DamagedFilesAreRefused) {
  const auto path = write("cut.safetensors", weights_);
  const auto whole = fs::file_size(path);
  for (const auto size : {whole - 1, whole / 2, std::uintmax_t{9}}) {
    fs::resize_file(path, size);
    (void)refusal(path);
  }
  write_file_atomically(folder_ / "noise.bin", "not weights at all");
  (void)refusal(folder_ / "noise.bin");
}

TEST_F(HubertFiles, APlaceWithoutWeightsSaysWhatToGive) {
  const auto answer = [](const std::string& place, ErrorKind kind) -> std::string {
    try {
      (void)locate_weights(place);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind);
      return error.message();
    }
    return "found";
  };
  EXPECT_THAT(answer("", ErrorKind::config), HasSubstr("pytorch_model.bin"));
  EXPECT_THAT(answer((folder_ / "nothing").string(), ErrorKind::checkpoint), HasSubstr("there are no weights"));
  EXPECT_THAT(answer(folder_.path().string(), ErrorKind::checkpoint),
              HasSubstr("has neither model.safetensors nor pytorch_model.bin"));
}

TEST(Hubert, AClipIsTheSameInAnyCompany) {
  const auto network = drawn_hubert();
  std::vector<std::vector<float>> clips;
  for (const auto n : {400, 16000, 719, 48000, 8001, 240000})
    clips.push_back(noise_wave(n, static_cast<std::uint32_t>(n)));
  std::vector<std::span<const float>> waves(clips.begin(), clips.end());
  const auto together = (*network)(waves, {.layer = 2});
  ASSERT_EQ(together.size(), clips.size());
  for (std::size_t i = 0; i < clips.size(); ++i) {
    EXPECT_EQ(together[i].size(0), network->config().n_frames(std::ssize(clips[i])));
    const auto alone = (*network)({&waves[i], 1}, {.layer = 2})[0];
    EXPECT_LT((together[i] - alone).abs().max().item<double>(), 2e-6) << clips[i].size();
  }
  std::reverse(waves.begin(), waves.end());
  const auto backwards = (*network)(waves, {.layer = 2});
  EXPECT_LT((backwards.back() - together.front()).abs().max().item<double>(), 2e-6);
}

TEST(Hubert, LoudnessDoesNotMatterAndSilenceIsFinite) {
  const auto network = drawn_hubert();
  const auto wave = noise_wave(16000, 5);
  auto quiet = wave;
  for (auto& sample : quiet) sample *= 0.5F;
  const std::vector<float> silence(16000);
  const auto made = (*network)(std::vector<std::span<const float>>{wave, quiet, silence}, {.layer = 2});
  // Of values about 2; the eps of norms is all that tells loud from quiet.
  EXPECT_LT((made[0] - made[1]).abs().max().item<double>(), 0.05);
  EXPECT_TRUE(at::isfinite(made[2]).all().item<bool>());
}

TEST(Hubert, RefusesLayersAndProjectionsItHasNot) {
  auto config = small_hubert_config();
  config.projection = 0;
  Hubert network(config);
  network.fold(true);
  const auto wave = noise_wave(1600, 7);
  const std::vector<std::span<const float>> waves{wave};
  EXPECT_THROW((void)network(waves, {.layer = 3}), Error);
  EXPECT_THROW((void)network(waves, {.layer = 1, .projection = true}), Error);
}

}  // namespace
}  // namespace melisma
