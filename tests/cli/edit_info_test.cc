// `melisma edit-info`, and what `inspect` then shows.
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

class EditInfoCommand : public ::testing::Test {
 protected:
  void SetUp() override { fs::copy_file(testing::tiny_voice(), folder_ / "voice.safetensors"); }
  ProgramResult run(const Words& words) const { return testing::run_program(folder_.path(), words); }
  nlohmann::json seen(const std::string& file) const {
    const auto result = run({"inspect", file, "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  }
  void expect_refusal(const Words& words, int exit_code, const std::string& message) const {
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.err, "melisma: " + message + "\n");
  }
  testing::TemporaryFolder folder_;
};

TEST_F(EditInfoCommand, NamesAVoiceWithoutTouchingIt) {
  const auto result =
      run({"edit-info", "voice.safetensors", "--set", "name=Anna", "--set", "author=A = B", "-o", "named.safetensors"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "named.safetensors: name = Anna\nnamed.safetensors: author = A = B\n");
  const auto model = seen("named.safetensors");
  EXPECT_EQ(model["info"], nlohmann::json({{"name", "Anna"}, {"author", "A = B"}}));
  auto expected = seen("voice.safetensors");
  EXPECT_TRUE(expected["info"].is_null());
  for (const auto* key : {"info", "path", "label", "bytes"}) expected[key] = model[key];
  EXPECT_EQ(model, expected) << "everything else is as it was";
  EXPECT_THAT(run({"inspect", "named.safetensors"}).out, HasSubstr("  author               A = B\n"));
}

TEST_F(EditInfoCommand, WritesTheFileItselfWhenAsked) {
  ASSERT_EQ(run({"edit-info", "voice.safetensors", "--set", "author=B", "--in-place"}).exit_code, 0);
  EXPECT_EQ(seen("voice.safetensors")["info"]["author"], "B");
  ASSERT_EQ(run({"edit-info", "voice.safetensors", "--remove", "author", "--in-place"}).exit_code, 0);
  EXPECT_TRUE(seen("voice.safetensors")["info"].is_null());
}

TEST_F(EditInfoCommand, TheNameGoesIntoTheFilesOfTheRvcTools) {
  const auto foreign = testing::golden_folder("rvc/files") / "voice_applio.pth";
  if (!fs::exists(foreign)) GTEST_SKIP() << "no fixtures";
  const auto result = run({"edit-info", foreign.string(), "--set", "name=Anna", "--set", "author=B", "-o", "a.pth"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto contents = seen("a.pth")["contents"];
  EXPECT_EQ(contents["model_name"], "Anna");
  EXPECT_EQ(contents["author"], "B");
  EXPECT_EQ(contents["dataset_length"], "00:12:34");
}

TEST_F(EditInfoCommand, SaysWhatIsWrong) {
  expect_refusal({"edit-info", "voice.safetensors", "--in-place"}, 2,
                 "usage: nothing is to be changed; --set author=Someone and --remove author do");
  expect_refusal({"edit-info", "voice.safetensors", "--set", "author", "--in-place"}, 2,
                 "usage: 'author' is not KEY=VALUE; author=Someone is");
  const std::string where = "usage: say where to write: -o FILE, or --in-place for 'voice.safetensors' itself";
  expect_refusal({"edit-info", "voice.safetensors", "--set", "author=B"}, 2, where);
  expect_refusal({"edit-info", "voice.safetensors", "--set", "author=B", "--in-place", "-o", "x.safetensors"}, 2,
                 where);
  expect_refusal({"edit-info", "none.pth", "--set", "author=B", "--in-place"}, 2,
                 "usage: no such model file: 'none.pth'");
  expect_refusal({"edit-info", "voice.safetensors", "--set", "family=mix", "--in-place"}, 2,
                 "usage: 'family' says what the weights are, and they stay; name, author and description can be set "
                 "(while changing what 'voice.safetensors' says)");
  expect_refusal({"edit-info", "voice.safetensors", "--set", "author=B", "-o", "none/x.safetensors"}, 5,
                 "device: cannot write 'none/x.safetensors': the folder does not exist; create it first (while "
                 "changing what 'voice.safetensors' says)");
}

}  // namespace
}  // namespace melisma
