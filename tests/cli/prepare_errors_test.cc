// `melisma prepare` on what people really hand it: missing, empty, broken, endless and forbidden things.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/audio/audio_writer.h"
#include "tests/cli/program_run.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

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
  EXPECT_TRUE(run.err.starts_with(fmt::format(
      "melisma: data: '{}' holds no recordings; files with these endings are read: .wav .w64 ", recordings().string())))
      << run.err;
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
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  record("good.wav", 2);
  fs::create_directories(folder_ / "locked");
  ::chmod((folder_ / "locked").c_str(), 0555);
  const auto run = prepare_in(folder_ / "locked");
  ::chmod((folder_ / "locked").c_str(), 0755);
  EXPECT_EQ(run.exit_code, 5);
  EXPECT_EQ(run.err,
            fmt::format("melisma: device: cannot make the folder '{}': Permission denied; name another --workspace\n",
                        (folder_ / "locked/cache/prepare").string()));
}

TEST_F(PrepareErrors, AFullDiskEndsTheRunAndSaysSo) {
  const auto disk = folder_ / "disk";
  fs::create_directories(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=256k") != 0) GTEST_SKIP() << "cannot mount a small disk";
  record("long.wav", 30);
  const auto run = prepare_in(disk / "workspace");
  const bool has_left_a_dataset = fs::exists(disk / "workspace/datasets/voice.h5");
  ::umount(disk.c_str());
  EXPECT_EQ(run.exit_code, 5) << run.err;
  EXPECT_NE(run.err.find("No space left on device; free space there or name another --workspace"), std::string::npos)
      << run.err;
  EXPECT_FALSE(has_left_a_dataset);
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
  EXPECT_EQ(message_of({"--name", "../elsewhere"}),
            "melisma: usage: --name '../elsewhere' cannot name a file; use letters, digits, '-' and '_'\n");
}

}  // namespace
}  // namespace melisma
