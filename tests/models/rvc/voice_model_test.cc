#include "models/rvc/voice_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/weights/weight_norm.h"
#include "tests/models/rvc/narrow_voice.h"
#include "tests/support/refusal.h"
#include "tests/support/rvc_golden.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

using ::testing::HasSubstr;
using testing::narrow_model;
using testing::narrow_voice;

std::string refusal(const ModelFile& file, Synthesizer& network) {
  return testing::refusal_of(ErrorKind::checkpoint, [&] { (void)load_pretrained(network, file, "base.pth"); });
}

TEST(VoiceModel, ConfigurationSurvivesItsJson) {
  const auto config = rvc_voice_config(narrow_model(1));
  EXPECT_EQ(config.network, narrow_voice());
  EXPECT_EQ(config.content_parameters, R"({"method":"cepstral","bands":40})");
  EXPECT_EQ(config.pitch_parameters, "");
  EXPECT_EQ(config.speaker_names, (std::vector<std::string>{"ann", "bob"}));
}

TEST(VoiceModel, OtherFamiliesAndBrokenConfigurationsAreRefused) {
  auto file = narrow_model(1);
  file.family = "mix";
  EXPECT_THROW((void)rvc_voice_config(file), Error);
  file = narrow_model(1);
  file.config = "[";
  EXPECT_THROW((void)rvc_voice_config(file), Error);
  file.config = R"({"hop": 480})";
  EXPECT_THROW((void)rvc_voice_config(file), Error);
}

TEST(VoiceModel, SmallAndFoldedFilesSpeakLikeTheWholeOne) {
  const c10::NoGradGuard no_grad;
  const auto whole = narrow_model(1);
  auto small = whole;
  small.weights = {};
  for (const auto& [name, tensor] : whole.weights) {
    if (!name.starts_with("enc_q.")) small.weights.add(name, tensor);
  }
  auto folded = small;
  folded.weights = fold_weight_norm(small.weights);
  const auto speak = [](const ModelFile& file) {
    const auto network = build_synthesizer(file);
    const RvcInput input{at::ones({1, 6, 20}), at::full({1}, 6, at::kLong), at::full({1, 6}, 100, at::kLong),
                         at::full({1, 6}, 220.0), at::zeros({1}, at::kLong)};
    return network->infer(input, {}, {}).wave;
  };
  EXPECT_TRUE(at::equal(speak(small), speak(whole)));
  EXPECT_TRUE(at::allclose(speak(folded), speak(whole), 0, 1e-6));
}

TEST(Pretrained, WholeAndFoldedWeightsAreTaken) {
  const auto file = narrow_model(1);
  Synthesizer network(narrow_voice());
  EXPECT_EQ(refusal(file, network), "no error");
  EXPECT_TRUE(at::equal(network.state_dict().at("dec.ups.0.weight_v"), file.weights.at("dec.ups.0.weight_v")));
  auto folded = file;
  folded.weights = fold_weight_norm(file.weights);
  EXPECT_EQ(refusal(folded, network), "no error");
}

TEST(Pretrained, HalfPrecisionBasesAreTakenAsFloats) {
  auto file = narrow_model(1);
  StateDict halves;
  for (const auto& [name, tensor] : file.weights) halves.add(name, tensor.to(at::kHalf));
  file.weights = halves;
  Synthesizer network(narrow_voice());
  EXPECT_EQ(refusal(file, network), "no error");
  for (const auto& [name, tensor] : network.state_dict()) {
    EXPECT_EQ(tensor.scalar_type(), at::kFloat) << name;
    EXPECT_TRUE(at::equal(tensor, file.weights.at(name).to(at::kFloat))) << name;
  }
}

TEST(Pretrained, TheSpeakerTableIsCutOrFilledAndThatIsTold) {
  const auto file = narrow_model(1);
  const auto load = [&](std::int64_t speakers, const std::vector<std::string>& names, at::Tensor& table) {
    auto config = narrow_voice();
    config.speakers = speakers;
    Synthesizer network(config);
    auto told = load_pretrained(network, file, "base.pth", names);
    table = network.state_dict().at("emb_g.weight").clone();
    return told;
  };
  const auto& rows = file.weights.at("emb_g.weight");
  at::Tensor table;
  EXPECT_EQ(load(3, {"ann", "bob"}, table), "");
  EXPECT_TRUE(at::equal(table, rows));
  EXPECT_EQ(load(5, {}, table), "3 rows are the file's, 2 start fresh");
  EXPECT_TRUE(at::equal(table.narrow(0, 0, 3), rows));
  EXPECT_EQ(load(2, {}, table), "the first 2 of the 3 rows in the file are taken");
  EXPECT_TRUE(at::equal(table, rows.narrow(0, 0, 2)));
  EXPECT_EQ(load(3, {"bob", "carla"}, table), "bob found by name");
  EXPECT_TRUE(at::equal(table[0], rows[1]));
  EXPECT_TRUE(at::equal(table[1], rows[1]));  // nobody's of that name: the row of that number
}

// What a network of `config` says to weights of `given`.
std::string refusal_between(const RvcConfig& given, const RvcConfig& config, bool is_foreign) {
  Synthesizer source(given), network(config);
  ModelFile file;
  file.weights = source.state_dict();
  if (!is_foreign) {
    file.family = "rvc";
    file.config = to_canonical_json({given, "", "", {}});
  }
  return refusal(file, network);
}

TEST(Pretrained, AnotherArchitectureIsNamedBySetting) {
  const std::string advice =
      ". Set the preset, vocoder and content features that it was made for, or start from other weights";
  const auto expect = [&](const auto& change, const std::string& difference) {
    auto config = rvc_v2_32k();
    config.inter_channels = config.hidden_channels = config.filter_channels = 8;
    config.n_layers = config.posterior_layers = 1;
    config.upsample_initial_channels = 32;
    auto given = config;
    change(given);
    for (const bool is_foreign : {true, false}) {
      EXPECT_EQ(refusal_between(given, config, is_foreign),
                "'base.pth' does not fit the model: " + difference + advice);
    }
  };
  expect([](RvcConfig& c) { c.content_channels = 256; }, "content_channels is 256 in the file but 768 in the model");
  expect([](RvcConfig& c) { c.vocoder = "mrf"; }, "vocoder is mrf in the file but hifigan in the model");
  expect([](RvcConfig& c) { c.vocoder = "refinegan"; }, "vocoder is refinegan in the file but hifigan in the model");
  expect([](RvcConfig& c) { c.upsample_initial_channels = 64; },
         "upsample_initial_channels is 64 in the file but 32 in the model");
  expect([](RvcConfig& c) { c.inter_channels = 16; }, "inter_channels is 16 in the file but 8 in the model");
  const auto at_rate = [](RvcConfig (*preset)()) {
    return [preset](RvcConfig& c) {
      const auto other = preset();
      c.sample_rate_hz = other.sample_rate_hz;
      c.n_fft = c.window = other.n_fft;
      c.hop = other.hop;
      c.upsample_rates = other.upsample_rates;
      c.upsample_kernels = other.upsample_kernels;
    };
  };
  expect(at_rate(rvc_v2_40k), "sample_rate_hz is 40000 in the file but 32000 in the model");
  expect(at_rate(rvc_v1_48k), "sample_rate_hz is 48000 in the file but 32000 in the model");
  expect(
      [&](RvcConfig& c) {
        at_rate(rvc_v2_48k)(c);
        c.content_channels = 256;
      },
      "sample_rate_hz is 48000 in the file but 32000 in the model; content_channels is 256 in the file but 768 in the "
      "model");
}

TEST(Pretrained, AnotherDepthIsNamedByTensors) {
  auto config = narrow_voice();
  config.posterior_layers = 3;
  Synthesizer deeper(config);
  EXPECT_THAT(refusal(narrow_model(1), deeper), HasSubstr("enc_q.enc"));
}

TEST(Pretrained, RefineGanOfAnotherRateIsRefusedWhereTheFileSaysIt) {
  auto config = rvc_v2_32k(), given = rvc_v2_24k();
  for (auto* c : {&config, &given}) {
    c->inter_channels = c->hidden_channels = c->filter_channels = 8;
    c->n_layers = c->posterior_layers = 1;
    c->upsample_initial_channels = 32;
    c->vocoder = "refinegan";
  }
  EXPECT_THAT(refusal_between(given, config, /*is_foreign=*/false),
              HasSubstr("sample_rate_hz is 24000 in the file but 32000 in the model"));
  EXPECT_EQ(refusal_between(given, config, /*is_foreign=*/true), "no error");  // nothing in it tells
}

TEST(Pretrained, ExtractedVoicesAndOtherFilesAreRefusedInWords) {
  Synthesizer network(narrow_voice());
  EXPECT_THAT(refusal(narrow_model(1, {.posterior = false}), network), HasSubstr("without the posterior encoder"));
  ModelFile nothing;
  nothing.weights.add("conv.weight", at::zeros({1}));
  EXPECT_THAT(refusal(nothing, network), HasSubstr("does not hold an RVC voice"));
}

}  // namespace
}  // namespace melisma
