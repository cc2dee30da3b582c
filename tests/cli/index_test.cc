// `melisma index`, and conversion with the index it makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/audio/audio_file.h"
#include "tests/cli/tiny_voice.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;
using testing::ProgramResult;
using Words = std::vector<std::string>;

class IndexCommand : public ::testing::Test {
 protected:
  ProgramResult run(Words words) const {
    words.insert(words.begin(), {"--workspace", testing::tiny_workspace().string()});
    return testing::run_program(folder_.path(), words);
  }
  nlohmann::json made(Words words) const {
    words.emplace_back("--json");
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  }
  // Audio of the tiny voice, of a recording it was trained on.
  std::vector<float> converted(const std::string& name, const Words& more) const {
    Words words{"convert", testing::tiny_voice().string(),
                (testing::tiny_voice().parent_path() / "in" / "joel" / "0.wav").string(), "-o", name};
    words.insert(words.end(), more.begin(), more.end());
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return read_audio(folder_ / name).samples;
  }
  testing::TemporaryFolder folder_;
};

TEST_F(IndexCommand, HoldsTheFramesOfTheTrainingClips) {
  const auto all = made({"index", "two", "-o", "all.index"});
  const auto joel = made({"index", "two", "-o", "joel.index", "--speaker", "joel"});
  EXPECT_EQ(all["vectors"], all["frames"]);
  EXPECT_GT(joel["frames"].get<int>(), 100);
  EXPECT_LT(joel["frames"].get<int>(), all["frames"].get<int>());
  EXPECT_EQ(all["lists"].get<int>(), all["frames"].get<int>() / 39);
  EXPECT_EQ(all["bytes"].get<std::uintmax_t>(), std::filesystem::file_size(folder_ / "all.index"));
}

TEST_F(IndexCommand, SaysWhatItMade) {
  const auto result = run({"index", "two", "-o", "two.index"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, ::testing::MatchesRegex("two.index: [0-9]+ vectors of 34 columns in [0-9]+ lists, from "
                                                  "[0-9]+ frames of [0-9]+ training clips\n"));
}

TEST_F(IndexCommand, ConversionFollowsTheIndexByItsRate) {
  (void)made({"index", "two", "-o", "mara.index", "--speaker", "mara"});
  const auto plain = converted("plain.wav", {});
  EXPECT_EQ(converted("none.wav", {"--index", "mara.index", "--index-rate", "0"}), plain);
  const auto half = converted("half.wav", {"--index", "mara.index", "--index-rate", "0.5"});
  const auto full = converted("full.wav", {"--index", "mara.index", "--index-rate", "1", "--protect", "0.5"});
  EXPECT_NE(half, plain);
  EXPECT_NE(full, half);
}

TEST_F(IndexCommand, AnUnknownSpeakerIsAnsweredWithTheNearest) {
  const auto result = run({"index", "two", "-o", "x.index", "--speaker", "maria"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, "melisma: usage: unknown speaker 'maria'; did you mean 'mara'? known: joel, mara\n");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "x.index"));
}

TEST_F(IndexCommand, AFileThatIsNoIndexIsRefused) {
  write_file_atomically(folder_ / "no.index", std::string("RIFF, but no index"));
  const auto result = run({"convert", testing::tiny_voice().string(),
                           (testing::tiny_voice().parent_path() / "in" / "joel" / "0.wav").string(), "-o", "x.wav",
                           "--index", "no.index"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.err,
            "melisma: checkpoint: cannot read the index 'no.index': it is of kind 'RIFF', expected 'IwFl'\n");
}

}  // namespace
}  // namespace melisma
