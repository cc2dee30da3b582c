// `melisma prepare` and `melisma dataset` as people run them: the real program on synthesised recordings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "data/audio/audio_writer.h"
#include "data/sets/dataset.h"
#include "tests/cli/program_run.h"
#include "tests/data/sets/pseudo_speech.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using testing::ProgramResult;
using testing::ProgramRun;
using testing::pseudo_speech;
using testing::TemporaryFolder;

class PrepareCommand : public ::testing::Test {
 protected:
  void write(const std::string& name, std::vector<float> samples, std::int64_t rate_hz = 16000) const {
    const auto path = folder_ / ("in/" + name);
    fs::create_directories(path.parent_path());
    write_audio(path, Waveform{std::move(samples), 1, rate_hz});
  }
  void write_speakers(int n_each) const {
    for (int i = 0; i < n_each; ++i) {
      const auto seed = static_cast<std::uint32_t>(i);
      write("alice/" + std::to_string(i) + ".wav", pseudo_speech(seed, 2.0, 16000));
      write("bob/" + std::to_string(i) + ".flac", pseudo_speech(100 + seed, 2.0, 16000));
    }
  }
  // "prepare in --name <name>", more words behind.
  ProgramResult prepare(const std::string& name, const std::vector<std::string>& more = {}) const {
    return testing::run_program(folder_.path(), words(name, more));
  }
  static std::vector<std::string> words(const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> all{"prepare", "in", "--name", name};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static std::vector<std::string> plain() { return {"--pitch", "none", "--content", "none"}; }
  [[nodiscard]] fs::path dataset(const std::string& name) const {
    return folder_ / ("melisma-workspace/datasets/" + name + ".h5");
  }
  TemporaryFolder folder_;
};

TEST_F(PrepareCommand, MakesADatasetWithFeaturesSpeakersAndSplits) {
  write_speakers(3);
  const auto result = prepare("voices", {"--pitch", "yin", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["fates"]["kept"], 6);
  EXPECT_EQ(json["recordings"].size(), 6u);
  const auto made = Dataset::open(dataset("voices"));
  EXPECT_THAT(made.speakers(), ElementsAre("alice", "bob"));
  EXPECT_EQ(made.sample_rate_hz(), 40000);
  EXPECT_EQ(json["content_hash"], made.content_hash());
  ASSERT_EQ(made.feature_sets().size(), 2u);
  for (const auto split : {Split::train, Split::validation, Split::test}) EXPECT_FALSE(made.clips_of(split).empty());
  for (const auto& key : made.feature_sets()) {
    const auto& clip = made.clips().front();
    EXPECT_EQ(made.features(key, clip).n_frames, n_feature_frames(clip.length, 40000)) << key.kind;
  }
  const auto info = testing::run_program(folder_.path(), {"dataset", "info", "voices"});
  EXPECT_EQ(info.exit_code, 0) << info.err;
  EXPECT_THAT(info.out, HasSubstr("speakers    alice, bob"));
  EXPECT_THAT(info.out, HasSubstr("test split opened 0 times"));
  const auto list = testing::run_program(folder_.path(), {"dataset", "list", "--json"});
  EXPECT_EQ(nlohmann::json::parse(list.out)[0]["name"], "voices");
}

TEST_F(PrepareCommand, TheTableNamesEveryFileAndItsFate) {
  write_speakers(2);
  write("alice/blip.wav", std::vector<float>(800, 0.3F));
  write_file_atomically(folder_ / "in/bob/broken.wav", "no audio at all");
  const auto result = prepare("voices", plain());
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.out, HasSubstr("alice/blip.wav"));
  EXPECT_THAT(result.out, HasSubstr("too_short"));
  EXPECT_THAT(result.out, HasSubstr("bob/broken.wav"));
  EXPECT_THAT(result.out, HasSubstr("unreadable"));
  EXPECT_EQ(Dataset::open(dataset("voices")).clips().size(), 4u);
}

TEST_F(PrepareCommand, MistakesAreSaidInOneLineWithTheirExitCode) {
  write_speakers(1);
  const auto method = prepare("a", {"--pitch", "pyn"});
  EXPECT_EQ(method.exit_code, 2);
  EXPECT_THAT(method.err, HasSubstr("did you mean"));
  EXPECT_THAT(method.err, HasSubstr("pyin"));
  const auto rate = prepare("a", {"--sample-rate", "44100"});
  EXPECT_EQ(rate.exit_code, 2);
  EXPECT_THAT(rate.err, HasSubstr("choose 32000, 40000 or 48000"));
  const auto key = prepare("a", {"--set", "slicin.mode=skip"});
  EXPECT_EQ(key.exit_code, 2);
  EXPECT_THAT(key.err, HasSubstr("slicing.mode"));
  const auto name = prepare("../a", plain());
  EXPECT_EQ(name.exit_code, 2);
  EXPECT_THAT(name.err, HasSubstr("cannot name a file"));
  const auto dataset = testing::run_program(folder_.path(), {"dataset", "info", "voces"});
  EXPECT_EQ(dataset.exit_code, 3);
  EXPECT_THAT(dataset.err, HasSubstr("there is no dataset 'voces'"));
}

TEST_F(PrepareCommand, AKilledRunContinuesAndEqualsAStraightOne) {
  write_speakers(12);
  ASSERT_EQ(prepare("straight", plain()).exit_code, 0);
  fs::remove_all(folder_ / "melisma-workspace/cache");
  for (const int milliseconds : {5, 15, 30, 50, 80, 120}) {
    ProgramRun run(folder_.path(), words("killed", plain()));
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    ::kill(run.pid(), SIGKILL);
    (void)run.finish();
    if (fs::exists(dataset("killed"))) (void)Dataset::open(dataset("killed"));
  }
  ASSERT_EQ(prepare("killed", plain()).exit_code, 0);
  EXPECT_EQ(read_file(dataset("killed")), read_file(dataset("straight")));
}

// The cut recordings in the cache: how far preparation has come.
std::size_t n_parts_in(const fs::path& cache) {
  std::error_code absent;
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(cache, absent)) {
    count += entry.path().extension() == ".part" ? 1 : 0;
  }
  return count;
}

TEST_F(PrepareCommand, CtrlCEndsWith130AndTheSameCommandContinues) {
  constexpr int kRecordings = 24;
  for (std::uint32_t i = 0; i < kRecordings; ++i) {
    const auto name = "alice/" + std::to_string(100 + i) + ".wav";
    const auto second = pseudo_speech(i, 1.0, 16000);
    std::vector<float> samples;
    for (int k = 0; k < 20; ++k) samples.insert(samples.end(), second.begin(), second.end());
    write(name, std::move(samples));
  }
  const std::vector<std::string> more{"--pitch", "none", "--content", "none", "--threads", "1", "--json"};
  ProgramRun run(folder_.path(), words("stopped", more));
  ASSERT_TRUE(run.wait_until([&] { return n_parts_in(folder_ / "melisma-workspace/cache") >= 2; })) << run.err();
  ::kill(run.pid(), SIGINT);
  const auto stopped = run.finish();
  EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
  EXPECT_THAT(stopped.err, MatchesRegex("melisma: interrupted: stopped with [0-9]+ of 24 recordings cut; the same "
                                        "command continues from here\n"));
  EXPECT_EQ(stopped.out, "");
  EXPECT_FALSE(fs::exists(dataset("stopped")));
  const auto n_cut = n_parts_in(folder_ / "melisma-workspace/cache");
  ASSERT_LT(n_cut, kRecordings);

  const auto resumed = prepare("stopped", more);
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(nlohmann::json::parse(resumed.out)["reused"]["recordings"], n_cut);
  fs::remove_all(folder_ / "melisma-workspace/cache");
  ASSERT_EQ(prepare("straight", more).exit_code, 0);
  EXPECT_EQ(read_file(dataset("stopped")), read_file(dataset("straight")));
}

TEST_F(PrepareCommand, ThreadsDoNotChangeAByte) {
  write_speakers(2);
  for (const auto* threads : {"1", "3"}) {
    const std::string name = std::string("t") + threads;
    const auto result = prepare(name, {"--pitch", "yin", "--threads", threads});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    fs::remove_all(folder_ / "melisma-workspace/cache");
  }
  EXPECT_EQ(read_file(dataset("t1")), read_file(dataset("t3")));
}

TEST_F(PrepareCommand, NineMinutesInOneFileTrainAndSayThatNothingIsHeldOut) {
  auto minute = pseudo_speech(1, 60.0, 8000);
  std::vector<float> whole;
  for (int i = 0; i < 9; ++i) whole.insert(whole.end(), minute.begin(), minute.end());
  write("long.wav", whole, 8000);
  const auto result = prepare("long", plain());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("the validation split is empty"));
  EXPECT_GT(Dataset::open(dataset("long")).clips().size(), 120u);
}

}  // namespace
}  // namespace melisma
