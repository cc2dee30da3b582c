// `melisma inspect`: what a file is, in words and as JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/cli/tiny_voice.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;
using testing::ProgramResult;
using Words = std::vector<std::string>;

class InspectCommand : public ::testing::Test {
 protected:
  ProgramResult run(Words words) const {
    words.insert(words.begin(), {"--workspace", testing::tiny_workspace().string()});
    return testing::run_program(folder_.path(), words);
  }
  nlohmann::json seen(const std::string& subject) const {
    const auto result = run({"inspect", subject, "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  }
  testing::TemporaryFolder folder_;
};

TEST_F(InspectCommand, MeasuresARecording) {
  std::vector<float> samples(48000 * 2);
  for (std::size_t n = 0; n < samples.size(); ++n) {
    samples[n] = 0.1F * static_cast<float>(std::sin(2 * M_PI * 220 * static_cast<double>(n) / 48000));
  }
  write_audio(folder_ / "tone.wav", {samples, 1, 48000});
  const auto tone = seen("tone.wav");
  EXPECT_EQ(tone["what"], "recording");
  EXPECT_EQ(tone["frames"], 96000);
  EXPECT_EQ(tone["sample_rate_hz"], 48000);
  EXPECT_NEAR(tone["loudness"]["sample_peak_db"].get<double>(), -20, 0.01);
  EXPECT_NEAR(tone["pitch"]["median_hz"].get<double>(), 220, 2);
  EXPECT_GT(tone["pitch"]["voiced_share"].get<double>(), 0.95);
  EXPECT_NEAR(tone["spectrum"]["centroid_hz"].get<double>(), 220, 30);
}

TEST_F(InspectCommand, SilenceHasNoLoudness) {
  write_audio(folder_ / "silence.wav", {std::vector<float>(16000), 1, 16000});
  const auto silence = seen("silence.wav");
  EXPECT_TRUE(silence["loudness"]["integrated_lufs"].is_null());
  EXPECT_TRUE(silence["spectrum"].is_null());
  EXPECT_THAT(run({"inspect", "silence.wav"}).out, HasSubstr("loudness               none, range"));
}

TEST_F(InspectCommand, CountsAModelByItsParts) {
  const auto voice = seen(testing::tiny_voice().string());
  EXPECT_EQ(voice["what"], "model");
  EXPECT_EQ(voice["family"], "rvc");
  EXPECT_EQ(voice["epoch"], 1);
  EXPECT_EQ(voice["quantization"], "none");
  std::int64_t sum = 0;
  for (const auto& part : voice["parts"]) sum += part["parameters"].get<std::int64_t>();
  EXPECT_EQ(sum, voice["parameters"].get<std::int64_t>());
  EXPECT_EQ(voice["types"], nlohmann::json({{"Float", sum}}));
  EXPECT_EQ(voice["config"]["sample_rate_hz"], 40000);
}

TEST_F(InspectCommand, SaysWhatTheOptimizerOfATrainingCheckpointRemembers) {
  const auto files = testing::golden_folder("rvc/files");
  if (!std::filesystem::exists(files)) GTEST_SKIP();
  const auto g = (files / "G_train_applio.pth").string();
  const auto generator = seen(g);
  EXPECT_EQ(generator["epoch"], 7);
  const auto& optimizer = generator["optimizer"];
  EXPECT_EQ(optimizer["kind"], "Adam or AdamW");
  EXPECT_EQ(optimizer["steps"], 1);
  EXPECT_EQ(optimizer["learning_rate"], 1e-4);
  EXPECT_EQ(optimizer["betas"], nlohmann::json({0.8, 0.99}));
  EXPECT_EQ(optimizer["eps"], 1e-9);
  EXPECT_EQ(optimizer["weight_decay"], 0.01);
  EXPECT_EQ(optimizer["parameters"], generator["tensors"]);
  EXPECT_EQ(optimizer["parameters_with_state"], generator["tensors"]);
  EXPECT_EQ(optimizer["moments"], nlohmann::json({{"Float", 2 * generator["parameters"].get<std::int64_t>()}}));
  EXPECT_THAT(run({"inspect", g}).out, HasSubstr("Adam or AdamW, 1 steps, learning rate 0.0001"));

  const auto judge = seen((files / "D_train_applio_nostate.pth").string());
  EXPECT_EQ(judge["family"], "rvc discriminator");
  EXPECT_EQ(judge["optimizer"]["parameters"], judge["tensors"]);
  EXPECT_EQ(judge["optimizer"]["parameters_with_state"], 0);
  EXPECT_EQ(judge["optimizer"]["steps"], 0);
  EXPECT_TRUE(seen(testing::tiny_voice().string())["optimizer"].is_null());
}

TEST_F(InspectCommand, ShowsTheHeldOutScoresOfARun) {
  const auto run = seen("tiny");
  ASSERT_EQ(run["training"]["held_out"].size(), 1U);
  EXPECT_EQ(run["training"]["held_out"][0]["mel_distance"], run["training"]["best_score"]);
}

TEST_F(InspectCommand, AnExtractedVoiceKnowsTheTrainingItComesFromWhileTheWorkspaceHasIt) {
  const auto voice = seen(testing::tiny_voice().string());
  EXPECT_EQ(voice["training"], seen("tiny")["training"]);
  EXPECT_THAT(run({"inspect", "tiny"}).out, HasSubstr("held-out, by epoch   \u2581  "));
  const auto elsewhere = testing::run_program(folder_.path(), {"inspect", testing::tiny_voice().string(), "--json"});
  EXPECT_TRUE(nlohmann::json::parse(elsewhere.out)["training"].is_null());
}

TEST_F(InspectCommand, ReadsWhatAnotherToolWroteBesideTheWeights) {
  const auto path = testing::golden_folder("rvc/files") / "voice_applio.pth";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no fixtures";
  const auto voice = seen(path.string());
  EXPECT_EQ(voice["layout"], "applio");
  EXPECT_EQ(voice["contents"]["author"], "Someone");
  EXPECT_EQ(voice["contents"]["dataset_length"], "00:12:34");
}

TEST_F(InspectCommand, AnswersAnUnknownNameWithWhatThereIs) {
  const auto result = run({"inspect", "tin"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, "melisma: usage: unknown run 'tin'; did you mean 'tiny'? known: tiny\n");
}

}  // namespace
}  // namespace melisma
