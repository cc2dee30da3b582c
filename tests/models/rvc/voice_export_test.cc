#include "models/rvc/voice_export.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <limits>

#include "models/rvc/tensor_shapes.h"
#include "models/weights/weight_norm.h"
#include "tests/support/golden.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using melisma::testing::TemporaryFolder;

RvcConfig small_exported_voice() {
  auto config = rvc_v2_40k();
  config.inter_channels = config.hidden_channels = 8;
  config.filter_channels = 16;
  config.n_layers = config.posterior_layers = 1;
  config.speakers = 2;
  config.speaker_channels = 4;
  config.upsample_initial_channels = 32;
  return config;
}

ModelFile trained_voice() {
  Synthesizer network(small_exported_voice());
  auto generator = at::detail::createCPUGenerator(5);
  network.initialise(generator);
  ModelFile file;
  file.family = "rvc";
  file.config = to_canonical_json({small_exported_voice(), "", "", {}});
  for (const auto& [name, tensor] : network.state_dict()) {
    file.weights.add(name, at::randn(tensor.sizes(), generator, at::TensorOptions()) * 0.1);
  }
  return file;
}

TEST(VoiceExport, DropsThePosteriorEncoderAndKeepsTheRestBitForBit) {
  const auto voice = trained_voice();
  const auto made = exported_model(voice, export_voice(voice, {}), "fp32");
  const auto expected = rvc_tensor_shapes(small_exported_voice(), {.posterior = false});
  EXPECT_TRUE(expected.difference_to(made.weights).empty());
  for (const auto& [name, tensor] : made.weights) EXPECT_TRUE(at::equal(tensor, voice.weights.at(name))) << name;
}

TEST(VoiceExport, FoldedWeightsAreThoseOfTheRunningModel) {
  const auto voice = trained_voice();
  const auto made = exported_model(voice, export_voice(voice, {.fold = true}), "fp32");
  const auto folded = fold_weight_norm(voice.weights);
  EXPECT_TRUE(made.weights.contains("dec.ups.0.weight"));
  for (const auto& [name, tensor] : made.weights) EXPECT_TRUE(at::equal(tensor, folded.at(name))) << name;
  EXPECT_NO_THROW((void)build_synthesizer(made));
}

TEST(VoiceExport, HalfPrecisionRoundsEachTensorAndMeasuresIt) {
  const auto voice = trained_voice();
  const auto exported = export_voice(voice, {.type = "fp16"});
  const auto made = exported_model(voice, exported, "fp16");
  const auto& v = voice.weights.at("dec.ups.0.weight_v");
  EXPECT_TRUE(at::equal(made.weights.at("dec.ups.0.weight_v"), v.to(at::kHalf)));
  for (const auto& layer : exported.layers) EXPECT_GT(layer.snr_db, 60) << layer.name;
}

TEST(VoiceExport, Int8ScalesOutputChannelsAndComesBackAsAVoice) {
  const auto voice = trained_voice();
  const auto exported = export_voice(voice, {.type = "int8"});
  const auto made = exported_model(voice, exported, "int8");
  EXPECT_EQ(made.weights.at("dec.ups.0.weight").scalar_type(), at::kChar);
  EXPECT_EQ(made.weights.at("dec.ups.0.weight_scale").sizes(), (std::vector<std::int64_t>{1, 16, 1}));
  EXPECT_EQ(made.weights.at("dec.conv_pre.weight_scale").sizes(), (std::vector<std::int64_t>{32, 1, 1}));
  EXPECT_EQ(made.weights.at("dec.conv_pre.bias").scalar_type(), at::kFloat);
  const auto plain = dequantized(made);
  const auto folded = fold_weight_norm(voice.weights);
  for (const auto& layer : exported.layers) {
    EXPECT_NEAR(snr_db(folded.at(layer.name), plain.weights.at(layer.name)), layer.snr_db, 1e-9) << layer.name;
    EXPECT_GE(layer.snr_db, 30) << layer.name;
  }
  EXPECT_NO_THROW((void)build_synthesizer(plain));
  EXPECT_NO_THROW((void)build_synthesizer(made));
}

TEST(VoiceExport, ALayerThatInt8WouldSpoilStaysHalf) {
  const auto voice = trained_voice();  // Gaussian weights: int8 keeps about 42 dB
  const auto exported = export_voice(voice, {.type = "int8", .least_snr_db = 80});
  for (const auto& layer : exported.layers) {
    EXPECT_EQ(layer.stored_as, layer.reason.empty() ? "int8" : "fp16") << layer.name;
  }
  EXPECT_EQ(exported.layers.front().stored_as, "fp16");
  EXPECT_NE(exported.layers.front().reason.find("int8 would keep"), std::string::npos);
}

TEST(VoiceExport, DamagedAndOversizedValuesAreRefusedByName) {
  auto voice = trained_voice();
  const auto message = [&](std::string_view type) {
    try {
      (void)exported_model(voice, export_voice(voice, {.type = type}), type);
    } catch (const Error& error) {
      return error.message();
    }
    return std::string("no error");
  };
  voice.weights.replace("dec.conv_pre.bias", at::full({32}, 1e6f));
  EXPECT_EQ(message("fp16"),
            "'dec.conv_pre.bias' has values beyond 65504, which fp16 cannot hold; use --dtype bf16 or fp32");
  EXPECT_EQ(message("bf16"), "no error");
  voice.weights.replace("dec.conv_pre.bias", at::full({32}, std::numeric_limits<float>::quiet_NaN()));
  EXPECT_EQ(message("fp32"), "'dec.conv_pre.bias' holds NaN: the weights are damaged or training diverged");
}

}  // namespace
}  // namespace melisma
