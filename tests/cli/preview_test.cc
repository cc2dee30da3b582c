// `melisma preview`: good voices, broken ones, and phrases of one's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/tiny_voice.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::ProgramResult;
using Words = std::vector<std::string>;

class PreviewCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "voices/inner");
    fs::copy_file(testing::tiny_voice(), folder_ / "voices/anna.safetensors");
    fs::copy_file(testing::tiny_voice(), folder_ / "voices/inner/bert.safetensors");
  }
  ProgramResult run(Words words) const {
    words.insert(words.begin(), "preview");
    return testing::run_program(folder_.path(), words);
  }
  std::string page() const { return read_file(folder_ / "preview.html"); }
  testing::TemporaryFolder folder_;
};

TEST_F(PreviewCommand, EveryVoiceOfAFolderSingsThePhraseOntoOnePage) {
  const auto result = run({"voices", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto rows = nlohmann::json::parse(result.out);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["name"], "anna.safetensors");
  EXPECT_EQ(rows[1]["name"], "inner/bert.safetensors");
  EXPECT_EQ(rows[1]["fate"], "spoke");
  EXPECT_EQ(rows[0]["facts"]["rate"], "40000 Hz");
  EXPECT_EQ(rows[0]["facts"]["speaker"], "joel");
  EXPECT_TRUE(rows[0]["facts"].contains("loudness"));
  EXPECT_THAT(page(), HasSubstr("six syllables, sung by no one"));
  EXPECT_THAT(page(), HasSubstr("data:audio/flac;base64,"));
}

TEST_F(PreviewCommand, ABrokenModelIsARowWithItsErrorAndTheOthersSpeak) {
  write_file_atomically(folder_ / "voices/broken.pth", std::string("no model"));
  const auto result = run({"voices", "-o", "preview.html"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.out, HasSubstr("anna.safetensors: spoke\n"));
  EXPECT_THAT(result.out, HasSubstr("broken.pth: failed: checkpoint: "));
  EXPECT_THAT(result.out, HasSubstr("2 of 3 voices spoke"));
  EXPECT_THAT(page(), HasSubstr("3 voices, 1 failed"));
  EXPECT_THAT(page(), HasSubstr("<strong>failed</strong>: checkpoint: "));
}

TEST_F(PreviewCommand, AVoiceWhoseEncoderIsNotHereSaysSo) {
  const auto foreign = testing::golden_folder("rvc/files") / "voice_applio.pth";
  if (!fs::exists(foreign)) GTEST_SKIP() << "no fixtures";
  fs::copy_file(foreign, folder_ / "voices/foreign.pth");
  ::setenv("MELISMA_WEIGHTS", (folder_ / "no-weights").c_str(), 1);
  const auto result = run({"voices", "--json"});
  ::unsetenv("MELISMA_WEIGHTS");
  EXPECT_EQ(result.exit_code, 3);
  const auto rows = nlohmann::json::parse(result.out);
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[1]["name"], "foreign.pth");
  EXPECT_EQ(rows[1]["fate"], "failed");
  EXPECT_THAT(rows[1]["reason"].get<std::string>(),
              HasSubstr("no weights are named; give the file of a HuBERT encoder"));
  EXPECT_EQ(rows[0]["fate"], "spoke");
  EXPECT_EQ(rows[2]["fate"], "spoke");
}

TEST_F(PreviewCommand, ARecordingOfOnesOwnIsThePhrase) {
  fs::remove_all(folder_ / "voices/inner");
  const auto recording = testing::tiny_voice().parent_path() / "in" / "mara" / "0.wav";
  const auto result = run({"voices", "--input", recording.string(), "--pitch", "12", "-o", "preview.html"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(page(), HasSubstr("0.wav <span class=\"quiet\">2.0 s</span>"));
}

TEST_F(PreviewCommand, SaysWhatIsWrongBeforeAnyoneSpeaks) {
  const auto expect_refusal = [&](const Words& words, int exit_code, const std::string& message) {
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, exit_code);
    EXPECT_EQ(result.err, "melisma: " + message + "\n");
  };
  expect_refusal({"none"}, 2, "usage: 'none' is no folder of models");
  fs::create_directories(folder_ / "empty");
  expect_refusal({"empty"}, 3,
                 "data: 'empty' holds no .safetensors and no .pth file; melisma extract makes them of runs");
  expect_refusal({"voices", "-o", "none/page.html"}, 5,
                 "device: cannot write 'none/page.html': the folder does not exist; create it first");
  write_audio(folder_ / "long.wav", {std::vector<float>(31 * 8000, 0.1F), 1, 8000});
  expect_refusal({"voices", "--input", "long.wav"}, 2,
                 "usage: 'long.wav' is 31 s long; a phrase of at most 30 s is expected");
}

}  // namespace
}  // namespace melisma
