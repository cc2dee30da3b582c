// `melisma prepare --kind multitrack` as people run it, and what other commands say to a dataset of songs.
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
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class PrepareSongs : public ::testing::Test {
 protected:
  void write(const std::string& name, std::uint32_t seed) const {
    const auto path = folder_ / ("in/" + name);
    fs::create_directories(path.parent_path());
    write_audio(path, Waveform{testing::pseudo_speech(seed, 1.0, 44100), 1, 44100});
  }
  void write_songs(int count) const {
    for (int i = 0; i < count; ++i) {
      const auto seed = static_cast<std::uint32_t>(10 * i);
      const auto song = "song_" + std::to_string(i) + "/";
      write(song + "drums.wav", seed);
      write(song + "lead.wav", seed + 1);
      write(song + "mixture.wav", seed + 2);
    }
  }
  testing::ProgramResult prepare(const std::vector<std::string>& more) const {
    std::vector<std::string> words{"prepare", "in", "--kind", "multitrack", "--name", "songs"};
    words.insert(words.end(), more.begin(), more.end());
    return testing::run_program(folder_.path(), words);
  }
  testing::TemporaryFolder folder_;
};

TEST_F(PrepareSongs, AFolderOfStemsBecomesADatasetThatInfoShows) {
  write_songs(3);
  write_file_atomically(folder_ / "in/song_0/notes.wav", "no audio");
  const auto run = prepare({"--json"});
  EXPECT_EQ(run.exit_code, 3) << run.err;  // one file could not be read
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json["layout"], "stems");
  EXPECT_EQ(json["fates"]["kept"], 9);
  EXPECT_EQ(json["fates"]["unreadable"], 1);
  EXPECT_EQ(json["songs"][0]["tracks"], 2);
  EXPECT_EQ(json["songs"][0]["lost"], 1);
  const auto text = prepare({});
  EXPECT_THAT(text.out, AllOf(HasSubstr("layout stems"), HasSubstr("notes.wav"), HasSubstr("already complete"),
                              HasSubstr("taken up from an earlier run: 9 tracks")));
  const auto info = testing::run_program(folder_.path(), {"dataset", "info", "songs"});
  EXPECT_THAT(info.out, AllOf(HasSubstr("kind        multitrack"), HasSubstr("song_1: 2 tracks and a mix")));
  const auto list = testing::run_program(folder_.path(), {"dataset", "list"});
  EXPECT_THAT(list.out, HasSubstr("3 songs"));
}

TEST_F(PrepareSongs, SettingsOfVoicesAreRefused) {
  write_songs(1);
  EXPECT_THAT(prepare({"--pitch", "yin"}).err, StartsWith("melisma: usage: --pitch is for voices"));
  EXPECT_THAT(prepare({"--slicing", "simple"}).err, AllOf(StartsWith("melisma: config: "), HasSubstr("slicing.mode")));
  EXPECT_THAT(prepare({"--layout", "musdb19"}).err, AllOf(StartsWith("melisma: config: "), HasSubstr("musdb18")));
  EXPECT_FALSE(fs::exists(folder_ / "melisma-workspace/datasets/songs.h5"));
}

TEST_F(PrepareSongs, CommandsForVoicesRefuseSongsAndSayWhatToRun) {
  write_songs(3);
  ASSERT_EQ(prepare({}).exit_code, 0);
  const auto run = testing::run_program(folder_.path(), {"train", "rvc", "--dataset", "songs", "--name", "x"});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.err,
              AllOf(StartsWith("melisma: data: "), HasSubstr("is a multitrack dataset, but this needs a voice"),
                    HasSubstr("melisma prepare FOLDER")));
}

TEST_F(PrepareSongs, StemFilesWithoutFfmpegSayWhatIsMissing) {
  fs::create_directories(folder_ / "in/train");
  write_file_atomically(folder_ / "in/train/A - B.stem.mp4", "x");
  const auto run = testing::ProgramRun(folder_.path(), {"prepare", "in", "--kind", "multitrack", "--name", "s"},
                                       testing::Start::fresh, [] { ::setenv("PATH", "/nowhere", 1); })
                       .finish();
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.out, HasSubstr("need the ffmpeg program, which is not in PATH"));
}

}  // namespace
}  // namespace melisma
