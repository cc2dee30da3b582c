// Every way `melisma convert` can be refused, by exact message and exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "data/audio/audio_file.h"
#include "tests/cli/tiny_voice.h"
#include "tests/support/small_disk.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::LockedFolder;
using testing::ProgramResult;
using testing::SmallDisk;
using ::testing::StartsWith;
using testing::tiny_voice;
using Words = std::vector<std::string>;

class ConvertErrors : public ::testing::Test {
 protected:
  void SetUp() override { write_audio(folder_ / "in.wav", {testing::pseudo_speech(1, 0.5, 16000), 1, 16000}, "wav16"); }
  // melisma convert <model> <more...>
  ProgramResult convert_with(const std::string& model, const Words& more) const {
    Words all{"--workspace", testing::tiny_workspace().string(), "convert", model};
    all.insert(all.end(), more.begin(), more.end());
    return testing::run_program(folder_.path(), all);
  }
  void expect_refusal(const Words& more, int exit_code, const std::string& message) const {
    expect_model_refusal(tiny_voice().string(), more, exit_code, message);
  }
  void expect_model_refusal(const std::string& model, const Words& more, int exit_code,
                            const std::string& message) const {
    const auto result = convert_with(model, more);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.err, "melisma: " + message + "\n");
    EXPECT_EQ(result.out, "");
    EXPECT_FALSE(fs::exists(folder_ / "out.wav"));
  }

  testing::TemporaryFolder folder_;
};

TEST_F(ConvertErrors, RecordingsThatCannotBeUsed) {
  expect_refusal({"none.wav", "-o", "out.wav"}, 3,
                 "data: there is no file or folder 'none.wav'; give a recording, or a folder of them");
  fs::create_directories(folder_ / "empty");
  std::ofstream(folder_ / "empty/notes.txt") << "no sound";
  expect_refusal({"empty", "-o", "out"}, 3,
                 "data: 'empty' holds no recordings; files with these endings are read: " + known_audio_extensions());
  std::ofstream(folder_ / "void.wav") << "";
  expect_refusal({"void.wav", "-o", "out.wav"}, 3, "data: cannot read 'void.wav': the file is empty (0 bytes)");
  write_audio(folder_ / "none.wav", {{}, 1, 16000}, "wav16");
  expect_refusal({"none.wav", "-o", "out.wav"}, 3, "data: 'none.wav' holds no samples");
  fs::copy_file(folder_ / "in.wav", folder_ / "cut.wav");
  fs::resize_file(folder_ / "cut.wav", 8000);
  expect_refusal({"cut.wav", "-o", "out.wav"}, 3,
                 "data: cannot read 'cut.wav': truncated: its header promises 16000 bytes of samples but only 7956 "
                 "follow");
  std::ofstream(folder_ / "words.wav") << "these are words and no samples";
  const auto words = convert_with(tiny_voice().string(), {"words.wav", "-o", "out.wav"});
  EXPECT_EQ(words.exit_code, 3);
  // Which of the two it is depends on whether ffmpeg is installed.
  EXPECT_THAT(words.err, ::testing::AnyOf(StartsWith("melisma: data: cannot read 'words.wav': neither libsndfile nor "
                                                     "ffmpeg knows it as audio ("),
                                          StartsWith("melisma: data: cannot read 'words.wav': not an audio format that "
                                                     "libsndfile knows, and the ffmpeg program")));
}

TEST_F(ConvertErrors, ModelsThatCannotBeUsed) {
  const Words plain{"in.wav", "-o", "out.wav"};
  expect_model_refusal("none.safetensors", plain, 2,
                       "usage: no such model file or folder: 'none.safetensors'; a run of the workspace is named "
                       "without path");
  expect_model_refusal("tyni", plain, 2, "usage: unknown run 'tyni'; did you mean 'tiny'? known: tiny");
  fs::copy_file(tiny_voice(), folder_ / "cut.safetensors");
  fs::resize_file(folder_ / "cut.safetensors", fs::file_size(tiny_voice()) - 1000);
  const auto cut = convert_with("cut.safetensors", plain);
  EXPECT_EQ(cut.exit_code, 3);
  EXPECT_THAT(cut.err, ::testing::MatchesRegex("melisma: checkpoint: its tensors need [0-9]+ bytes, but [0-9]+ follow "
                                               "the header; it is truncated \\(while reading 'cut.safetensors'\\)\n"));
  std::ofstream(folder_ / "words.safetensors") << "these are words and no weights";
  EXPECT_EQ(convert_with("words.safetensors", plain).exit_code, 3);
  expect_model_refusal("in.wav", plain, 3, "checkpoint: 'in.wav' is neither a .safetensors nor a .pth file");
  const auto judge = (testing::tiny_checkpoint() / "discriminator.safetensors").string();
  expect_model_refusal(judge, plain, 3,
                       "checkpoint: the model is of family 'discriminator'; expected an RVC voice (while loading the "
                       "voice '" +
                           judge + "')");
}

TEST_F(ConvertErrors, FilesOfTheRvcToolsThatCannotBeUsed) {
  const auto files = testing::golden_folder("rvc/files");
  if (!fs::exists(files)) GTEST_SKIP() << "no rvc fixtures";
  const Words plain{"in.wav", "-o", "out.wav"};
  const auto evil = (files / "evil_os_system.pth").string(), cut = (files / "bad_truncated.pth").string(),
             judge = (files / "D_train_applio_nostate.pth").string();
  expect_model_refusal(evil, plain, 3,
                       "checkpoint: its pickle refers to 'posix.system', which weights do not need: the file is unsafe "
                       "or no weights file; nothing was run (while reading '" +
                           evil + "')");
  EXPECT_FALSE(fs::exists(folder_ / "melisma_canary.txt"));
  expect_model_refusal(cut, plain, 3,
                       "checkpoint: it starts like a zip archive but has no table of contents: the file is truncated "
                       "(while reading '" +
                           cut + "')");
  expect_model_refusal(judge, plain, 3,
                       "checkpoint: it holds no RVC voice: it is a discriminator (D file); the generator (G file) is "
                       "expected (while loading the voice '" +
                           judge + "')");
}

TEST_F(ConvertErrors, OptionsThatMakeNoSense) {
  expect_refusal({"in.wav", "-o", "out.wav", "--speaker", "mra"}, 2,
                 "usage: unknown speaker 'mra'; did you mean 'mara'? known: joel, mara");
  expect_refusal({"in.wav", "-o", "out.wav", "--speaker", "2"}, 2,
                 "usage: there is no speaker '2'; the voice's speakers are numbered 0 to 1: joel, mara");
  expect_refusal(
      {"in.wav", "-o", "out.wav", "--format", "wav61"}, 2,
      "usage: unknown audio format 'wav61'; did you mean 'wav16' or 'wav24' or 'wav32'? known: wav16, wav24, wav32, "
      "wav32f, flac, flac16, ogg");
  expect_refusal({"in.wav", "-o", "out.wav", "--format", "flac"}, 2,
                 "usage: --format flac makes .flac files, but the output is 'out.wav'; name it so, or leave --format "
                 "out");
  expect_refusal({"in.wav", "-o", "out.mpg"}, 2,
                 "usage: cannot tell the audio format of 'out.mpg' from its extension; known: .wav .flac .ogg");
  expect_refusal({"in.wav", "-o", "out.ogg", "--sample-rate", "384000"}, 2,
                 "usage: ogg cannot hold 1 channel at 384000 Hz; choose another format or rate");
  EXPECT_THAT(convert_with("m", {"in.wav", "-o", "out.wav", "--sample-rate", "10"}).err,
              StartsWith("melisma: usage: --sample-rate: Value 10 not in range"));
  EXPECT_THAT(convert_with("m", {"in.wav", "-o", "out.wav", "--high-pass", "-1"}).err,
              StartsWith("melisma: usage: --high-pass: Value -1 not in range"));
  expect_refusal({"in.wav", "-o", "out.wav", "--pich", "3"}, 2,
                 "usage: unknown option '--pich'; did you mean '--pitch' or '--fill' or '--mix'? melisma convert "
                 "--help lists them");
  expect_refusal({"in.wav"}, 2, "usage: --output is required; see melisma convert --help");
}

TEST_F(ConvertErrors, NoRecordingIsEverOverwritten) {
  expect_refusal({"in.wav", "-o", "in.wav"}, 2, "usage: 'in.wav' is the recording itself; name another output");
  fs::create_directories(folder_ / "songs");
  fs::copy_file(folder_ / "in.wav", folder_ / "songs/a.wav");
  expect_refusal({"songs", "-o", "songs/../songs"}, 2,
                 "usage: 'songs/../songs' is the folder of the recordings; name another for the results");
  expect_refusal({"songs", "-o", "in.wav"}, 2, "usage: 'in.wav' is a file; the results of a folder go into a folder");
  expect_refusal({"in.wav", "-o", "songs"}, 2,
                 "usage: 'songs' is a folder; name the file to write, such as 'songs/in.wav'");
}

TEST_F(ConvertErrors, PlacesThatCannotBeWritten) {
  expect_refusal({"in.wav", "-o", "nowhere/out.wav"}, 5,
                 "device: cannot write 'nowhere/out.wav': the folder does not exist; create it first");
  fs::create_directories(folder_ / "songs");
  fs::copy_file(folder_ / "in.wav", folder_ / "songs/a.wav");
  expect_refusal({"songs", "-o", "in.wav/out"}, 5,
                 "device: cannot make the folder 'in.wav/out': Not a directory; name another output");
  const LockedFolder disk;
  if (!disk.is_locked()) GTEST_SKIP() << SmallDisk::kWhyNot;
  expect_refusal({"in.wav", "-o", (disk / "out.wav").string()}, 5,
                 "device: cannot write '" + (disk / "out.wav").string() +
                     "': the folder is not writable; change its permissions or name another folder");
  expect_refusal({"songs", "-o", disk.path().string()}, 5,
                 "device: cannot write '" + (disk / "a.wav").string() +
                     "': the folder is not writable; change its permissions or name another folder");
}

TEST_F(ConvertErrors, AFullDiskLeavesNothingHalfMade) {
  SmallDisk disk;
  if (!disk.is_mounted()) GTEST_SKIP() << SmallDisk::kWhyNot;
  write_audio(folder_ / "long.wav", {testing::pseudo_speech(1, 5.0, 16000), 1, 16000}, "wav16");
  for (const auto* name : {"out.wav", "out.flac", "out.ogg"}) {
    disk.fill_up("filler");
    expect_refusal(
        {"long.wav", "-o", (disk / name).string()}, 5,
        "device: cannot write '" + (disk / name).string() + "': the disk is full; free space or name another folder");
    fs::remove(disk / "filler");
    EXPECT_TRUE(fs::is_empty(disk.path())) << name;
  }
  expect_refusal({"long.wav", "-o", (disk / "out.wav").string()}, 5,
                 "device: cannot write '" + (disk / "out.wav").string() +
                     "': the disk is full; free space or name another folder");
  EXPECT_TRUE(fs::is_empty(disk.path()));
}

}  // namespace
}  // namespace melisma
