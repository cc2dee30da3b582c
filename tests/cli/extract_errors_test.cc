// What `melisma extract` says when the disk, the dataset or the file it starts from will not do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/sets/dataset_writer.h"
#include "tests/cli/tiny_voice.h"
#include "tests/support/small_disk.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::LockedFolder;
using ::testing::MatchesRegex;
using testing::ProgramResult;
using testing::SmallDisk;
using testing::tiny_voice;
using Words = std::vector<std::string>;

class ExtractErrors : public ::testing::Test {
 protected:
  ProgramResult extract(const Words& more) const {
    Words all{"--workspace", testing::tiny_workspace().string(), "extract"};
    all.insert(all.end(), more.begin(), more.end());
    return testing::run_program(folder_.path(), all);
  }
  void expect_refusal(const Words& more, int exit_code, const std::string& message) const {
    const auto result = extract(more);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.err, "melisma: " + message + "\n");
    EXPECT_EQ(result.out, "");
  }
  testing::TemporaryFolder folder_;
};

TEST_F(ExtractErrors, ATruncatedFileIsNamed) {
  fs::copy_file(tiny_voice(), folder_ / "cut.safetensors");
  fs::resize_file(folder_ / "cut.safetensors", fs::file_size(tiny_voice()) - 1000);
  const auto cut = extract({"cut.safetensors"});
  EXPECT_EQ(cut.exit_code, 3);
  EXPECT_THAT(cut.err, MatchesRegex("melisma: checkpoint: its tensors need [0-9]+ bytes, but [0-9]+ follow the header; "
                                    "it is truncated \\(while reading 'cut.safetensors'; while extracting "
                                    "'cut.safetensors'\\)\n"));
  std::ofstream(folder_ / "words.pth") << "these are words and no weights";
  expect_refusal({"words.pth"}, 3,
                 "checkpoint: 'words.pth' is neither a .safetensors nor a .pth file (while extracting 'words.pth')");
  const auto judge = (testing::tiny_checkpoint() / "discriminator.safetensors").string();
  expect_refusal(
      {judge}, 3,
      "checkpoint: the model is of family 'discriminator'; expected an RVC voice (while extracting '" + judge + "')");
}

TEST_F(ExtractErrors, ADatasetThatDoesNotFitIsNamed) {
  expect_refusal({"tiny", "--dtype", "fp16", "--dataset", "tow"}, 3,
                 "data: unknown dataset 'tow'; did you mean 'two'? known: two");
  DatasetPlan plan;
  plan.sample_rate_hz = 32000;
  plan.parameters = "{}";
  plan.tool_version = "test";
  plan.speakers = {"mara"};
  plan.clips = {{.recording = "a.wav", .length = 32000, .split = Split::validation}};
  write_dataset(folder_ / "slow.h5", plan,
                [](DatasetWriter& writer) { writer.write_wave(0, std::vector<float>(32000, 0.1F)); });
  expect_refusal({"tiny", "--dtype", "fp16", "--dataset", "slow.h5", "-o", "voice.safetensors"}, 3,
                 "data: '" + fs::canonical(folder_ / "slow.h5").string() +
                     "' is at 32000 Hz, the voice speaks at 40000 Hz; name a dataset at the voice's rate");
  EXPECT_FALSE(fs::exists(folder_ / "voice.safetensors"));
}

TEST_F(ExtractErrors, AFolderThatCannotBeWrittenIsNamed) {
  const LockedFolder disk;
  if (!disk.is_locked()) GTEST_SKIP() << SmallDisk::kWhyNot;
  expect_refusal({"tiny", "-o", (disk / "voice.safetensors").string()}, 5,
                 "device: cannot write '" + (disk / "voice.safetensors").string() +
                     "': the folder is not writable; change its permissions or name another folder");
}

TEST_F(ExtractErrors, AFullDiskLeavesNothingHalfMade) {
  SmallDisk disk;
  if (!disk.is_mounted()) GTEST_SKIP() << SmallDisk::kWhyNot;
  const auto expect_full = [&](const std::string& model, const std::string& ending) {
    const auto output = (disk / ("voice." + ending)).string();
    expect_refusal({model, "--format", ending, "-o", output}, 5,
                   "device: cannot write '" + output + "': the disk is full; free space or name another folder");
    EXPECT_TRUE(fs::is_empty(disk.path()));
  };
  expect_full("tiny", "safetensors");
  const auto foreign = testing::golden_folder("rvc/files") / "voice_webui.pth";
  if (fs::exists(foreign)) expect_full(foreign.string(), "pth");
}

TEST_F(ExtractErrors, AMisspeltOptionIsAnsweredWithTheNearest) {
  expect_refusal({"tiny", "--dtpye", "fp16"}, 2,
                 "usage: unknown option '--dtpye'; did you mean '--dtype'? melisma extract --help lists them");
}

}  // namespace
}  // namespace melisma
