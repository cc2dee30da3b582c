#include "models/rvc/voice_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/weights/weight_norm.h"
#include "tests/support/refusal.h"
#include "tests/support/rvc_golden.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

using ::testing::HasSubstr;

RvcConfig narrow_voice() {
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

ModelFile narrow_model(std::uint64_t seed, const SynthesizerForm& form = {}) {
  Synthesizer network(narrow_voice(), form);
  auto generator = at::detail::createCPUGenerator(seed);
  network.initialise(generator);
  ModelFile file;
  file.family = "rvc";
  for (const auto& [name, tensor] : network.state_dict()) file.weights.add(name, tensor.clone());
  file.config = to_canonical_json({narrow_voice(), R"({"method":"cepstral","bands":40})", "", {"ann", "bob"}});
  return file;
}

std::string refusal(const ModelFile& file, Synthesizer& network) {
  return testing::refusal_of(ErrorKind::checkpoint, [&] { load_pretrained(network, file, "base.pth"); });
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

TEST(Pretrained, TheSpeakerTableIsCutOrLeft) {
  const auto file = narrow_model(1);
  auto config = narrow_voice();
  config.speakers = 5;
  Synthesizer more(config);
  EXPECT_EQ(refusal(file, more), "no error");
  EXPECT_TRUE(at::equal(more.state_dict().at("emb_g.weight").narrow(0, 0, 3), file.weights.at("emb_g.weight")));
  config.speakers = 2;
  Synthesizer fewer(config);
  EXPECT_EQ(refusal(file, fewer), "no error");
}

TEST(Pretrained, AnotherArchitectureIsNamedBySetting) {
  const auto file = narrow_model(1);
  auto config = narrow_voice();
  config.content_channels = 768;
  Synthesizer other(config);
  EXPECT_EQ(refusal(file, other),
            "'base.pth' does not fit the model: content_channels is 20 in the file but 768 in the model");
  config = narrow_voice();
  config.posterior_layers = 3;
  Synthesizer deeper(config);
  EXPECT_THAT(refusal(file, deeper), HasSubstr("enc_q.enc"));
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
