// Content from a HuBERT encoder through the real program: prepare, train, evaluate, convert, with the fixture's tiny
// weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "data/audio/audio_file.h"
#include "data/sets/dataset.h"
#include "tests/cli/tiny_voice.h"
#include "tools/base/atomic_file.h"
#include "tools/base/hash.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::golden_folder;
using testing::GoldenFile;
using ::testing::HasSubstr;
using testing::ProgramResult;
using testing::TemporaryFolder;
using Words = std::vector<std::string>;

// One workspace: recordings, the encoder in a folder as Hugging Face lays it out, a dataset and a voice.
class HubertCommands : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto fixture = golden_folder("rvc") / "hubert_tiny.weights.safetensors";
    if (!fs::exists(fixture)) return;
    shared_ = std::make_unique<TemporaryFolder>();
    ::setenv("MELISMA_WEIGHTS", (*shared_ / "weights").c_str(), 1);
    fs::create_directories(*shared_ / "encoder");
    fs::copy_file(fixture, *shared_ / "encoder/model.safetensors");
    const auto numbers = GoldenFile::load(golden_folder("rvc") / "hubert_tiny.safetensors");
    write_file_atomically(*shared_ / "encoder/config.json", numbers.metadata.at("config"));
    testing::write_recordings(*shared_ / "in", "mara", 6);
    write_file_atomically(*shared_ / "tiny.toml", testing::tiny_voice_with({}, R"([content]
method = "hubert"
[content.hubert]
output = "layer"
layer = 4
)"));
    const auto made = run(prepare_words());
    ASSERT_EQ(made.exit_code, 0) << made.err;
    const auto trained =
        run({"train", "rvc", "--dataset", "mara", "--config", "tiny.toml", "--name", "voice", "--epochs", "1"});
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
  }
  static void TearDownTestSuite() {
    shared_.reset();
    ::unsetenv("MELISMA_WEIGHTS");
  }
  void SetUp() override {
    if (!shared_) GTEST_SKIP() << "no golden/rvc";
    fs::remove_all(*shared_ / "weights");
  }
  static Words prepare_words(const std::string& weights = "encoder") {
    return {"prepare",   "in",
            "--name",    "mara",
            "--pitch",   "yin",
            "--content", "hubert",
            "--set",     "content.weights=" + weights,
            "--set",     "content.hubert.output=layer",
            "--set",     "content.hubert.layer=4"};
  }
  static ProgramResult run(const Words& words) { return testing::run_program(shared_->path(), words); }
  static ProgramResult convert(const Words& more = {}) {
    Words words{"convert", "voice", "in/mara/0.wav", "-o", "out.wav"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  static std::string encoder_sha256() { return sha256_of_file(*shared_ / "encoder/model.safetensors"); }
  static std::unique_ptr<TemporaryFolder> shared_;
};
std::unique_ptr<TemporaryFolder> HubertCommands::shared_;

TEST_F(HubertCommands, TheDatasetHoldsARowForTwoFrames) {
  const auto dataset = Dataset::open(*shared_ / "melisma-workspace/datasets/mara.h5");
  FeatureKey content;
  for (const auto& key : dataset.feature_sets()) content = key.kind == "content" ? key : content;
  EXPECT_THAT(content.parameters, HasSubstr("\"weights_sha256\":\"" + encoder_sha256() + "\""));
  EXPECT_EQ(dataset.feature_width(content), 32);
  for (const auto& clip : dataset.clips()) {
    const auto features = dataset.features(content, clip);
    ASSERT_EQ(features.n_frames, n_feature_frames(clip.length, 40000));
    for (std::int64_t t = 0; t + 1 < features.n_frames; t += 2) {
      const auto row = features.values.begin() + t * 32;
      ASSERT_TRUE(std::equal(row, row + 32, row + 32)) << t;
    }
  }
  const auto again = run(prepare_words());
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.out, HasSubstr("already complete"));
}

TEST_F(HubertCommands, TheVoiceSaysWhichEncoderItWasTrainedOn) {
  fs::path run_folder;
  for (const auto& item : fs::directory_iterator(*shared_ / "melisma-workspace/runs")) run_folder = item.path();
  EXPECT_THAT(read_file(run_folder / "config.toml"),
              AllOf(HasSubstr("weights_sha256 = \"" + encoder_sha256() + "\""), HasSubstr("content_channels = 32")));
  const auto made = run({"extract", "voice", "-o", "voice.safetensors"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto config = GoldenFile::load(*shared_ / "voice.safetensors").json("config");
  EXPECT_EQ(config["content"]["weights_sha256"], encoder_sha256());
  EXPECT_EQ(config["content"]["hubert"]["layer"], 4);
  EXPECT_EQ(config["content_channels"], 32);
}

TEST_F(HubertCommands, TrainingAndEvaluationNeedTheFeaturesAlone) {
  const auto resumed = run({"train", "rvc", "--resume", "voice", "--epochs", "2"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  const auto evaluated = run({"evaluate", "voice", "--dataset", "mara", "--split", "validation"});
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
}

TEST_F(HubertCommands, ConversionWantsTheSameWeights) {
  const auto without = convert();
  EXPECT_EQ(without.exit_code, 3);
  EXPECT_THAT(without.err, AllOf(HasSubstr("weights of SHA-256 " + encoder_sha256()), HasSubstr("--content-weights")));
  EXPECT_FALSE(fs::exists(*shared_ / "out.wav"));

  fs::create_directories(*shared_ / "changed");
  fs::copy_file(*shared_ / "encoder/config.json", *shared_ / "changed/config.json",
                fs::copy_options::overwrite_existing);
  auto bytes = read_file(*shared_ / "encoder/model.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file_atomically(*shared_ / "changed/model.safetensors", bytes);
  const auto other = convert({"--content-weights", "changed"});
  EXPECT_EQ(other.exit_code, 3);
  EXPECT_THAT(other.err, HasSubstr("are made with weights of SHA-256 " + encoder_sha256() + ", but 'changed/"));

  const auto named = convert({"--content-weights", "encoder"});
  ASSERT_EQ(named.exit_code, 0) << named.err;
  EXPECT_EQ(AudioReader::open(*shared_ / "out.wav").info().n_frames, 80000);
  const auto first = read_file(*shared_ / "out.wav");

  fs::create_directories(*shared_ / "weights");
  fs::copy(*shared_ / "encoder", *shared_ / "weights/anything");
  const auto found = convert();
  ASSERT_EQ(found.exit_code, 0) << found.err;
  EXPECT_EQ(read_file(*shared_ / "out.wav"), first);
}

TEST_F(HubertCommands, AnIndexIsFollowedWithWeightsThatAreNamed) {
  const auto indexed = run({"index", "mara", "-o", "mara.index"});
  ASSERT_EQ(indexed.exit_code, 0) << indexed.err;
  const auto plain = convert({"--content-weights", "encoder"});
  ASSERT_EQ(plain.exit_code, 0) << plain.err;
  const auto first = read_file(*shared_ / "out.wav");
  const auto followed = convert({"--content-weights", "encoder", "--index", "mara.index", "--index-rate", "1"});
  ASSERT_EQ(followed.exit_code, 0) << followed.err;
  EXPECT_NE(read_file(*shared_ / "out.wav"), first);
}

TEST_F(HubertCommands, WhatDoesNotFitIsSaidBeforeAnythingIsMade) {
  const auto absent = run(prepare_words("nowhere.bin"));
  EXPECT_EQ(absent.exit_code, 3);
  EXPECT_THAT(absent.err, HasSubstr("there are no weights 'nowhere.bin'"));
  const auto unnamed = run({"prepare", "in", "--name", "x", "--content", "hubert"});
  EXPECT_EQ(unnamed.exit_code, 2);
  EXPECT_THAT(unnamed.err, HasSubstr("pytorch_model.bin"));
  const auto deeper = run({"prepare", "in", "--name", "x", "--content", "hubert", "--set", "content.weights=encoder"});
  EXPECT_EQ(deeper.exit_code, 2);
  EXPECT_THAT(deeper.err, HasSubstr("layer 12 is asked for, but 'encoder/model.safetensors' has 4"));
  EXPECT_FALSE(fs::exists(*shared_ / "melisma-workspace/datasets/x.h5"));
  const auto layer = run({"train", "rvc", "--dataset", "mara", "--config", "tiny.toml", "--name", "third", "--set",
                          "content.hubert.layer=3"});
  EXPECT_EQ(layer.exit_code, 2);
  EXPECT_THAT(layer.err, HasSubstr("looking for [content] among the content features of"));
  EXPECT_THAT(layer.err, HasSubstr("\"layer\":4"));
}

}  // namespace
}  // namespace melisma
