// `melisma compare`: two voices by weights and over held-out recordings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/sets/dataset.h"
#include "tests/cli/tiny_voice.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::ProgramResult;
using Words = std::vector<std::string>;

class CompareCommand : public ::testing::Test {
 protected:
  static std::string a() { return testing::tiny_voice().string(); }
  static std::string b() { return testing::other_voice().string(); }
  ProgramResult run(Words words) const {
    words.insert(words.begin(), {"--workspace", testing::tiny_workspace().string(), "compare"});
    return testing::run_program(folder_.path(), words);
  }
  nlohmann::json compared(Words words) const {
    words.emplace_back("--json");
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? nlohmann::json::parse(result.out) : nlohmann::json();
  }
  // A dataset of its own, so that opening its test split is on no other test's record.
  fs::path own_dataset() const {
    const auto copy = folder_ / "own.h5";
    fs::copy_file(testing::tiny_workspace() / "datasets" / "two.h5", copy);
    return copy;
  }
  testing::TemporaryFolder folder_;
};

TEST_F(CompareCommand, AVoiceIsLikeItself) {
  const auto json = compared({a(), a()});
  for (const auto& part : json["parts"]) {
    EXPECT_NEAR(part["cosine"].get<double>(), 1, 1e-9);
    EXPECT_EQ(part["relative_distance"], 0);
  }
  EXPECT_NEAR(json["attention"]["mean_percent"].get<double>(), 100, 1e-4);
  EXPECT_TRUE(json["differences"].empty());
  EXPECT_FALSE(json.contains("held_out"));
}

TEST_F(CompareCommand, TellsTwoVoicesApartByWeightsAndByEar) {
  const auto json =
      compared({a(), b(), "--dataset", own_dataset().string(), "--metrics", "mel_distance,mr_stft", "--seed", "5"});
  EXPECT_LT(json["parts"][0]["cosine"].get<double>(), 0.9);
  EXPECT_EQ(json["models"][1]["label"], "other.safetensors");
  const auto& heard = json["held_out"];
  ASSERT_EQ(heard["candidates"].size(), 3U);
  EXPECT_EQ(heard["candidates"][1]["name"], "other.safetensors");
  EXPECT_EQ(heard["candidates"][2]["metrics"]["mel_distance"]["mean"], 0);
  ASSERT_EQ(heard["differences"].size(), 2U);
  for (const auto& difference : heard["differences"]) {
    const auto& metric = difference["metric"].get<std::string>();
    const auto mean = [&](int i) { return heard["candidates"][i]["metrics"][metric]["mean"].get<double>(); };
    EXPECT_EQ(difference["baseline"], "other.safetensors");
    EXPECT_NEAR(difference["mean"].get<double>(), mean(0) - mean(1), 1e-9);
    EXPECT_GE(difference["p_holm"].get<double>(), difference["p"].get<double>());
  }
  EXPECT_TRUE(json["test_openings"].empty());
}

TEST_F(CompareCommand, TheSameVoiceTwiceDiffersByNothingAndIsCalledByItsFiles) {
  const auto copy = folder_ / "voice.safetensors";
  fs::copy_file(a(), copy);
  const auto json = compared({a(), copy.string(), "--dataset", "two", "--metrics", "mel_distance"});
  EXPECT_EQ(json["models"][1]["label"], copy.string());
  EXPECT_EQ(json["held_out"]["differences"][0]["mean"], 0);
  EXPECT_EQ(json["held_out"]["differences"][0]["p"], 1);
}

TEST_F(CompareCommand, OpeningTheTestSplitIsOnRecordForBothModels) {
  const auto path = own_dataset();
  const auto result = run({a(), b(), "--dataset", path.string(), "--split", "test", "--metrics", "mel_distance"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("the test split has been opened 2 times so far"));
  EXPECT_THAT(result.out, HasSubstr("- other.safetensors"));
  const auto ledger = Dataset::open(path).ledger();
  ASSERT_EQ(ledger.size(), 2U);
  EXPECT_NE(ledger[0].model_hash, ledger[1].model_hash);
  EXPECT_THAT(ledger[1].command, HasSubstr("melisma compare"));
}

TEST_F(CompareCommand, VoicesOfDifferentKindsAreComparedWhereTheyCorrespond) {
  const auto foreign = testing::golden_folder("rvc/files") / "voice_applio.pth";
  if (!fs::exists(foreign)) GTEST_SKIP() << "no fixtures";
  const auto json = compared({a(), foreign.string()});
  EXPECT_TRUE(json["parts"][0]["cosine"].is_null());
  EXPECT_THAT(json["parts"][0]["why_none"].get<std::string>(), HasSubstr("' is ["));
  EXPECT_FALSE(json["differences"].empty());
  const auto result = run({a(), foreign.string()});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("differs: "));
}

TEST_F(CompareCommand, MistakesAreAnsweredBeforeAnythingIsMeasured) {
  const auto metric = run({a(), b(), "--dataset", "two", "--metrics", "mel_distanse"});
  EXPECT_EQ(metric.exit_code, 2);
  EXPECT_THAT(metric.err, HasSubstr("did you mean 'mel_distance'?"));
  const auto split = run({a(), b(), "--split", "tset"});
  EXPECT_EQ(split.exit_code, 2);
  EXPECT_THAT(split.err, HasSubstr("did you mean 'test'?"));
  const auto model = run({a(), "none.pth"});
  EXPECT_EQ(model.exit_code, 2);
  EXPECT_THAT(model.err, HasSubstr("no such model file or folder: 'none.pth'"));
}

}  // namespace
}  // namespace melisma
