// `melisma evaluate` and `melisma report` as people run them: prepare, one epoch of a tiny voice, numbers, a page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/audio/audio_writer.h"
#include "data/sets/dataset.h"
#include "tests/cli/program_run.h"
#include "tests/data/sets/pseudo_speech.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::ProgramResult;
using testing::TemporaryFolder;

// A dataset "anna" and a run "tiny" of one epoch, made once for all tests of the suite.
class EvaluateCommand : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    for (int i = 0; i < 8; ++i) {
      const auto path = *folder_ / ("in/anna/" + std::to_string(i) + ".wav");
      fs::create_directories(path.parent_path());
      write_audio(path, Waveform{testing::pseudo_speech(static_cast<std::uint32_t>(i), 1.5, 16000), 1, 16000});
    }
    made_ = melisma({"prepare", "in", "--name", "anna", "--pitch", "yin", "--sample-rate", "32000"});
    if (made_.exit_code != 0) return;
    std::vector<std::string> train{"train", "rvc", "--dataset", "anna", "--name", "tiny", "--epochs", "1"};
    for (const char* setting :
         {"preset=v2-32k", "pitch.method=yin", "model.inter_channels=16", "model.hidden_channels=16",
          "model.filter_channels=32", "model.n_layers=1", "model.posterior_layers=1", "model.speaker_channels=8",
          "model.upsample_initial_channels=32", "discriminator.scale_divisor=16", "discriminator.period_divisor=32",
          "data.batch_size=2"}) {
      train.insert(train.end(), {"--set", setting});
    }
    made_ = melisma(train);
  }
  static void TearDownTestSuite() { delete folder_; }
  void SetUp() override { ASSERT_EQ(made_.exit_code, 0) << made_.err; }

  static ProgramResult melisma(const std::vector<std::string>& words) {
    return testing::run_program(folder_->path(), words);
  }
  static Dataset dataset() { return Dataset::open(*folder_ / "melisma-workspace/datasets/anna.h5"); }

  static inline TemporaryFolder* folder_ = nullptr;
  static inline ProgramResult made_;
};

TEST_F(EvaluateCommand, GivesNumbersWithIntervalsAndBaselinesAndOpensTheTestSplitOnRecord) {
  EXPECT_TRUE(dataset().ledger().empty());
  const auto result = melisma({"evaluate", "tiny", "--dataset", "anna", "--split", "test", "--json", "-o", "test.json",
                               "--metrics", "mel_distance,mr_stft,mcd,loudness_difference"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json, nlohmann::json::parse(read_file(*folder_ / "test.json")));
  ASSERT_EQ(json["candidates"].size(), 3u);
  EXPECT_EQ(json["candidates"][1]["name"], "untrained");
  EXPECT_GT(json["candidates"][0]["metrics"]["mel_distance"]["mean"], 0);
  EXPECT_EQ(json["candidates"][2]["metrics"]["mel_distance"]["mean"], 0);
  EXPECT_EQ(json["differences"].size(), 4u);
  ASSERT_EQ(dataset().ledger().size(), 1u);
  EXPECT_EQ(dataset().ledger()[0].model_hash, json["model"]["sha256"]);
  EXPECT_EQ(json["test_openings"].size(), 1u);
}

TEST_F(EvaluateCommand, TheSameSeedGivesTheSameNumbers) {
  const std::vector<std::string> words{"evaluate", "tiny", "--dataset", "anna", "--json", "--metrics", "mr_stft"};
  const auto first = nlohmann::json::parse(melisma(words).out), second = nlohmann::json::parse(melisma(words).out);
  EXPECT_EQ(first["candidates"][0]["metrics"], second["candidates"][0]["metrics"]);
  EXPECT_EQ(first["candidates"][1]["metrics"], second["candidates"][1]["metrics"]);
}

TEST_F(EvaluateCommand, AValidationIsKeptForTheReport) {
  const auto result = melisma({"evaluate", "tiny", "--dataset", "anna", "--metrics", "mel_distance"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("mean over recordings [95 % bootstrap interval]"));
  EXPECT_THAT(result.out, HasSubstr("validation-1.json"));
  const auto report = melisma({"report", "tiny", "-o", "page.html"});
  ASSERT_EQ(report.exit_code, 0) << report.err;
  const auto page = read_file(*folder_ / "page.html");
  for (const char* text : {"Held-out mel_distance by epoch", "validation split", "data:audio/flac", "untrained"}) {
    EXPECT_NE(page.find(text), std::string::npos) << text;
  }
}

TEST_F(EvaluateCommand, MistakesAreAnsweredBeforeAnythingIsMeasured) {
  const auto metric = melisma({"evaluate", "tiny", "--dataset", "anna", "--metrics", "mel_distanse"});
  EXPECT_EQ(metric.exit_code, 2);
  EXPECT_THAT(metric.err, HasSubstr("unknown metric 'mel_distanse'; did you mean 'mel_distance'?"));
  const auto split = melisma({"evaluate", "tiny", "--dataset", "anna", "--split", "tset"});
  EXPECT_EQ(split.exit_code, 2);
  EXPECT_THAT(split.err, HasSubstr("did you mean 'test'?"));
  const auto data = melisma({"evaluate", "tiny", "--dataset", "ana"});
  EXPECT_EQ(data.exit_code, 3);
  EXPECT_THAT(data.err, HasSubstr("did you mean 'anna'?"));
  const auto run = melisma({"evaluate", "tinny", "--dataset", "anna"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("tiny"));
  const auto report = melisma({"report", "tinny"});
  EXPECT_EQ(report.exit_code, 2);
  const auto sound = melisma({"report", "tiny", "--sound", "nothing"});
  EXPECT_EQ(sound.exit_code, 2);
  EXPECT_THAT(sound.err, HasSubstr("'nothing' is not label=file"));
}

}  // namespace
}  // namespace melisma
