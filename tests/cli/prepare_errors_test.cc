// `melisma prepare` on what people really hand it: missing, empty, broken, endless and forbidden things.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/audio/audio_file.h"
#include "data/audio/audio_writer.h"
#include "tests/cli/program_run.h"
#include "tests/support/small_disk.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

using ::testing::EndsWith;
using testing::LockedFolder;
using ::testing::MatchesRegex;
using testing::SmallDisk;

constexpr std::int64_t kRate = 16000;

class PrepareErrors : public ::testing::Test {
 protected:
  fs::path recordings() const { return folder_ / "recordings"; }
  fs::path recording(const std::string& name) const {
    const auto path = recordings() / name;
    fs::create_directories(path.parent_path());
    return path;
  }
  // A tone of its own pitch that swells and fades, so that no two are alike.
  void record(const std::string& name, double seconds, double frequency_hz = 200) const {
    Waveform wave{.samples = std::vector<float>(static_cast<std::size_t>(seconds * kRate)),
                  .n_channels = 1,
                  .sample_rate_hz = kRate};
    for (std::size_t n = 0; n < wave.samples.size(); ++n) {
      const double t = static_cast<double>(n) / kRate;
      wave.samples[n] =
          static_cast<float>((0.3 + 0.1 * std::sin(0.01 * frequency_hz * t)) * std::sin(2 * M_PI * frequency_hz * t));
    }
    write_audio(recording(name), wave, "wav16");
  }
  void write_bytes(const std::string& name, std::string_view bytes) const {
    std::ofstream(recording(name), std::ios::binary) << bytes;
  }
  testing::ProgramResult prepare(std::vector<std::string> more = {}) const {
    return prepare_in(folder_ / "workspace", std::move(more));
  }
  testing::ProgramResult prepare_in(const fs::path& workspace, std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"--workspace",         workspace.string(), "--threads", "2",         "prepare",
                                   recordings().string(), "--pitch",          "none",      "--content", "none"};
    if (std::find(more.begin(), more.end(), "--name") == more.end()) more.insert(more.end(), {"--name", "voice"});
    words.insert(words.end(), more.begin(), more.end());
    return testing::run_program(folder_.path(), words);
  }
  // The entry of one recording in a --json report.
  static nlohmann::json entry(const nlohmann::json& report, const std::string& name) {
    for (const auto& row : report.at("recordings")) {
      if (row.at("path") == name) return row;
    }
    ADD_FAILURE() << "no recording '" << name << "' in " << report.dump();
    return {};
  }
  bool has_dataset() const { return fs::exists(folder_ / "workspace/datasets/voice.h5"); }

  testing::TemporaryFolder folder_;
};

TEST_F(PrepareErrors, AMissingFolderIsNamed) {
  const auto run = prepare();
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_EQ(run.err,
            fmt::format("melisma: data: there is no folder '{}'; give the folder that holds the recordings, one "
                        "sub-folder a speaker\n",
                        recordings().string()));
  EXPECT_EQ(run.out, "");
}

TEST_F(PrepareErrors, AnEmptyFolderIsNamedWithTheEndingsThatAreRead) {
  fs::create_directories(recordings());
  write_bytes("notes.txt", "no sound");
  const auto run = prepare();
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_EQ(run.err, fmt::format("melisma: data: '{}' holds no recordings; files with these endings are read: {}\n",
                                 recordings().string(), known_audio_extensions()));
  EXPECT_FALSE(has_dataset());
}

TEST_F(PrepareErrors, FiftyMillisecondsMakeNoDataset) {
  record("short.wav", 0.05);
  const auto run = prepare({"--json"});
  EXPECT_EQ(run.exit_code, 3) << run.err;
  const auto row = entry(nlohmann::json::parse(run.out), "short.wav");
  EXPECT_EQ(row.at("fate"), "too_short");
  EXPECT_EQ(row.at("detail"), "0.05 s, at least 0.4 s are needed");
  EXPECT_FALSE(has_dataset());
}

TEST_F(PrepareErrors, FiveBrokenFilesOfTwoHundredAreReportedAndTheRestIsKept) {
  for (int k = 0; k < 195; ++k) record(fmt::format("alice/{:03}.wav", k), 0.5, 100 + 3 * k);
  record("alice/cut.wav", 1);
  const auto whole = read_file(recording("alice/cut.wav"));
  write_bytes("alice/cut.wav", std::string_view(whole).substr(0, whole.size() / 2));
  write_bytes("alice/empty.wav", "");
  write_bytes("alice/header.flac", "fLaC");
  write_bytes("alice/text.wav", "these are words and no samples");
  Waveform bad{.samples = std::vector<float>(kRate, 0.1f), .n_channels = 1, .sample_rate_hz = kRate};
  write_audio(recording("alice/nan.wav"), bad, "wav32f");
  {
    std::fstream file(recording("alice/nan.wav"), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(-4, std::ios::end);
    file.write("\xff\xff\xff\x7f", 4);
  }
  const auto run = prepare({"--json"});
  EXPECT_EQ(run.exit_code, 3) << run.err;
  const auto report = nlohmann::json::parse(run.out);
  EXPECT_EQ(report.at("fates").at("kept"), 195);
  EXPECT_EQ(report.at("fates").at("unreadable"), 4);
  EXPECT_EQ(report.at("fates").at("non_finite"), 1);
  EXPECT_EQ(entry(report, "alice/cut.wav").at("detail"),
            fmt::format("cannot read '{}': truncated: its header promises 32000 bytes of samples but only 15978 follow",
                        recording("alice/cut.wav").string()));
  EXPECT_EQ(entry(report, "alice/nan.wav").at("detail"), "1 of 16000 samples are NaN or infinite");
  EXPECT_TRUE(has_dataset()) << "five broken files do not cost the others";
}

TEST_F(PrepareErrors, AnM4aWithoutFfmpegSaysWhatToInstall) {
  record("good.wav", 2);
  record("better.wav", 2, 300);
  write_bytes("phone.m4a", "....ftypM4A ....");
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", "/nowhere", 1);
  const auto run = prepare({"--json"});
  ::setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(run.exit_code, 3) << run.err;
  const auto row = entry(nlohmann::json::parse(run.out), "phone.m4a");
  EXPECT_EQ(row.at("fate"), "unreadable");
  EXPECT_EQ(row.at("detail"), fmt::format("cannot read '{}': .m4a files need the ffmpeg program, which is not in PATH; "
                                          "install ffmpeg or convert the file to wav or flac",
                                          recording("phone.m4a").string()));
  EXPECT_TRUE(has_dataset());
}

TEST_F(PrepareErrors, AFileWhereTheWorkspaceShouldBeIsNamed) {
  record("good.wav", 2);
  std::ofstream(folder_ / "taken") << "a file";
  const auto run = prepare_in(folder_ / "taken");
  EXPECT_EQ(run.exit_code, 5);
  EXPECT_EQ(run.err,
            fmt::format("melisma: device: cannot make the folder '{}': Not a directory; name another --workspace\n",
                        (folder_ / "taken/cache/prepare").string()));
}

TEST_F(PrepareErrors, AnUnwritableWorkspaceIsNamed) {
  record("good.wav", 2);
  const LockedFolder disk;
  if (!disk.is_locked()) GTEST_SKIP() << SmallDisk::kWhyNot;
  const auto run = prepare_in(disk.path());
  EXPECT_EQ(run.exit_code, 5);
  EXPECT_EQ(run.err, fmt::format("melisma: device: cannot make the folder '{}': {}; name another --workspace\n",
                                 (disk / "cache/prepare").string(), disk.reason()));
}

TEST_F(PrepareErrors, AFullDiskEndsTheRunAndSaysSo) {
  SmallDisk disk("256k");
  if (!disk.is_mounted()) GTEST_SKIP() << SmallDisk::kWhyNot;
  record("long.wav", 30);
  const auto run = prepare_in(disk.path());
  EXPECT_EQ(run.exit_code, 5) << run.err;
  EXPECT_THAT(run.err, MatchesRegex("melisma: device: cannot write '" + (disk / "cache/prepare").string() +
                                    "/[0-9a-f]{2}/[0-9a-f]+\\.part': No space left on device; free space there or name "
                                    "another --workspace\n"));
  EXPECT_FALSE(fs::exists(disk / "datasets/voice.h5"));
}

// The parts fit, the dataset does not: what was cut is taken up again once there is room.
TEST_F(PrepareErrors, ADiskThatIsFullWhenTheDatasetIsWrittenKeepsTheWorkDone) {
  SmallDisk disk("4m");
  if (!disk.is_mounted()) GTEST_SKIP() << SmallDisk::kWhyNot;
  record("long.wav", 30);
  record("short.wav", 2, 300);
  const auto run = prepare_in(disk.path());
  EXPECT_EQ(run.exit_code, 5) << run.err;
  EXPECT_THAT(run.err, EndsWith(fmt::format(
                           "melisma: device: cannot write '{}': the disk is full; free space or name another folder\n",
                           (disk / "datasets/voice.h5").string())));
  EXPECT_TRUE(fs::is_empty(disk / "datasets"));
  ASSERT_EQ(::mount("none", disk.path().c_str(), "tmpfs", MS_REMOUNT, "size=16m"), 0);
  const auto again = prepare_in(disk.path(), {"--json"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(nlohmann::json::parse(again.out)["reused"]["recordings"], 2);
}

TEST_F(PrepareErrors, RecordingsWithoutAVoicedFrameAreKeptWithAWarning) {
  testing::Lcg random(3);
  for (int k = 0; k < 4; ++k) {
    std::vector<float> hiss(2 * kRate);
    for (auto& sample : hiss) sample = 0.2F * static_cast<float>(random.next());
    write_audio(recording(fmt::format("{}.wav", k)), {std::move(hiss), 1, kRate}, "wav16");
  }
  const auto run = testing::run_program(
      folder_.path(), {"--workspace", "workspace", "prepare", "recordings", "--name", "voice", "--pitch", "yin"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.err,
            "warning: no voiced frame was found in any recording, so a voice would learn breath and noise; check the "
            "recordings, or the range from pitch.fmin_hz to pitch.fmax_hz\n");
  EXPECT_TRUE(has_dataset());
}

TEST_F(PrepareErrors, MisspeltSettingsAndValuesAreAnsweredWithTheNearest) {
  record("good.wav", 2);
  const auto message_of = [&](std::vector<std::string> words) {
    const auto run = prepare(std::move(words));
    EXPECT_EQ(run.exit_code, 2) << run.err;
    EXPECT_EQ(run.out, "");
    return run.err;
  };
  EXPECT_EQ(message_of({"--set", "slicing.mod=simple"}),
            "melisma: config: --set slicing.mod=simple: unknown key 'slicing.mod'; did you mean 'slicing.mode'?\n");
  EXPECT_EQ(message_of({"--slicing", "automatc"}),
            "melisma: config: --set slicing.mode=automatc: 'slicing.mode' has an unknown value 'automatc'; did you "
            "mean 'automatic'? known: automatic, simple, skip\n");
  EXPECT_EQ(message_of({"--normalise", "posst"}),
            "melisma: config: --set normalise=posst: 'normalise' has an unknown value 'posst'; did you mean 'post'? "
            "known: none, pre, post\n");
  EXPECT_EQ(message_of({"--set", "fate.min_seconds=-1"}),
            "melisma: config: --set fate.min_seconds=-1: 'fate.min_seconds' must be between 0 and 60, found -1\n");
  EXPECT_EQ(message_of({"--sample-rate", "44100"}),
            "melisma: config: sample_rate_hz 44100 is no rate of a voice model; choose 32000, 40000 or 48000\n");
  EXPECT_EQ(message_of({"--slicng", "skip"}),
            "melisma: usage: unknown option '--slicng'; did you mean '--slicing'? melisma prepare --help lists them\n");
  EXPECT_EQ(message_of({"--name", "../elsewhere"}),
            "melisma: usage: --name '../elsewhere' cannot name a file; use letters, digits, '-' and '_'\n");
}

}  // namespace
}  // namespace melisma
