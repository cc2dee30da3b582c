// Experiment folders of the RVC tools as datasets: what is found in them, what becomes of every file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "data/sets/dataset.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tests/train/import/experiment.h"
#include "tools/base/atomic_file.h"
#include "train/import/experiment_folder.h"
#include "train/import/import_dataset.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::applio_folders;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;
using testing::refusal_of;
using testing::TemporaryFolder;
using testing::write_applio_experiment;

class SilentSink final : public EventSink {
 public:
  void receive(const Event&) override {}
};

class ImportedExperiment : public ::testing::Test {
 protected:
  PrepareReport import(const fs::path& experiment) {
    const auto found = look_at_experiment(experiment);
    SilentSink events;
    return import_dataset(found,
                          {.dataset = dataset(),
                           .voice = "mara",
                           .tool_version = "test",
                           .pitch = pitch_,
                           .content = content_,
                           .content_width = content_width_of(found)},
                          events);
  }
  [[nodiscard]] fs::path dataset() const { return folder_ / "mara.h5"; }
  // The row of a slice in the report.
  static RecordingRow row(const PrepareReport& report, const std::string& path) {
    for (const auto& row : report.recordings) {
      if (row.path == path) return row;
    }
    ADD_FAILURE() << "no row " << path;
    return {};
  }

  TemporaryFolder folder_;
  fs::path experiment_ = folder_ / "voice";
  FeatureKey pitch_{"pitch", R"({"method":"imported"})"}, content_{"content", R"({"method":"hubert"})"};
};

TEST_F(ImportedExperiment, OfApplioHasItsSlicesFeaturesAndSplitByRecording) {
  write_applio_experiment(experiment_, 10);
  const auto report = import(experiment_);
  EXPECT_EQ(report.outcome, "written");
  EXPECT_EQ(report.exit_code(), 0);
  const auto made = Dataset::open(dataset());
  EXPECT_EQ(made.sample_rate_hz(), 40000);
  EXPECT_THAT(made.speakers(), ElementsAre("mara"));
  ASSERT_EQ(made.clips().size(), 20U);
  std::map<std::string, std::set<Split>> sides;
  for (const auto& clip : made.clips()) sides[clip.recording].insert(clip.split);
  EXPECT_EQ(sides.size(), 10U);
  for (const auto& [recording, side] : sides) EXPECT_EQ(side.size(), 1U) << recording;
  EXPECT_FALSE(made.clips_of(Split::validation).empty());
  EXPECT_FALSE(made.clips_of(Split::test).empty());

  const auto& second = made.clips()[3];  // 0_1_1, seed 11
  EXPECT_EQ(second.recording, "0_1");
  EXPECT_EQ(second.recording_offset, 48000);
  EXPECT_EQ(made.wave(second), testing::pseudo_speech(11, 1.2, 40000));
  const auto f0 = made.features(pitch_, second);
  ASSERT_EQ(f0.n_frames, 120);
  for (std::int64_t t = 0; t < 120; ++t) EXPECT_EQ(f0.values[t], static_cast<float>(testing::f0_at(11, t)));
  const auto content = made.features(content_, second);
  ASSERT_EQ(content.n_frames, 120);
  ASSERT_EQ(content.width, 768);
  const auto last = testing::tool_rows(1.2) - 1;  // 58 of the 60 rows: the last one is held
  for (const std::int64_t t : {0, 1, 50, 117, 118, 119}) {
    EXPECT_EQ(content.values[t * 768 + 5], testing::content_at(11, std::min<std::int64_t>(t / 2, last), 5)) << t;
  }
  EXPECT_EQ(nlohmann::json::parse(made.parameters())["imported"],
            nlohmann::json({{"tool", "applio"}, {"experiment", "voice"}, {"embedder", "contentvec"}}));
}

TEST_F(ImportedExperiment, OfWebUiIsReadWithTheSpeakerOfItsList) {
  const testing::ToolFolders folders{experiment_ / "0_gt_wavs", experiment_ / "2b-f0nsf", experiment_ / "3_feature256",
                                     32000, 256};
  for (std::uint32_t i = 0; i < 4; ++i) folders.write(std::to_string(i) + "_0", i, 0.9);
  write_file_atomically(experiment_ / "filelist.txt",
                        "C:\\logs\\v\\0_gt_wavs\\0_0.wav|a|b|c|2\r\nC:\\logs\\v\\0_gt_wavs\\1_0.wav|a|b|c|2\r\n"
                        "C:\\logs\\mute\\0_gt_wavs\\mute32k.wav|a|b|c|2\r\n");
  const auto found = look_at_experiment(experiment_);
  EXPECT_EQ(found.layout->tool, "webui");
  EXPECT_EQ(found.n_speakers(), 3);
  EXPECT_EQ(found.n_fillers, 1);
  EXPECT_EQ(content_width_of(found), 256);
  const auto report = import(experiment_);
  const auto made = Dataset::open(dataset());
  EXPECT_EQ(made.sample_rate_hz(), 32000);
  EXPECT_THAT(made.speakers(), ElementsAre("mara-0", "mara-1", "mara-2"));
  EXPECT_EQ(made.clips()[0].speaker, 2);
  EXPECT_EQ(made.clips()[2].speaker, 0);  // not in the list
  EXPECT_EQ(made.clips()[2].recording, "2");
  EXPECT_EQ(made.feature_width(content_), 256);
  EXPECT_EQ(report.speakers[2].clips.at(Split::train) + report.speakers[0].clips.at(Split::train), 2);
}

TEST_F(ImportedExperiment, WhatLiesInHeldOutIsHeldOutUnlessItsRecordingWasHeard) {
  write_applio_experiment(experiment_, 4);
  const auto move = [&](const std::string& name, const std::string& side) {
    for (const auto& file : {std::string("sliced_audios/") + name + ".wav", "f0_voiced/" + name + ".wav.npy",
                             "extracted/" + name + ".npy"}) {
      const auto there = experiment_ / "held_out" / side / file;
      fs::create_directories(there.parent_path());
      fs::rename(experiment_ / file, there);
    }
  };
  std::istringstream lines(read_file(experiment_ / "filelist.txt"));
  std::ofstream kept(experiment_ / "filelist.txt");
  const std::regex elsewhere("/(0_1_0|0_1_1|0_2_0|0_2_1|0_3_1)[.]");
  for (std::string line; std::getline(lines, line);) {
    if (!std::regex_search(line, elsewhere)) kept << line << "\n";
  }
  kept.close();
  for (const auto* name : {"0_1_0", "0_1_1"}) move(name, "validation");
  for (const auto* name : {"0_2_0", "0_2_1", "0_3_1"}) move(name, "test");
  write_file_atomically(experiment_ / "held_out/held_out.json", R"({"caveat": ""})");
  const auto found = look_at_experiment(experiment_);
  EXPECT_EQ(found.n_held_out(), 5);
  EXPECT_EQ(found.held_out_caveat, "");
  EXPECT_EQ(import(experiment_).outcome, "written");
  std::map<std::string, std::vector<Split>> sides;
  const auto made = Dataset::open(dataset());
  for (const auto& clip : made.clips()) sides[clip.recording].push_back(clip.split);
  const auto train = Split::train;
  EXPECT_THAT(sides.at("0_0"), ElementsAre(train, train));
  EXPECT_THAT(sides.at("0_1"), ElementsAre(Split::validation, Split::validation));
  EXPECT_THAT(sides.at("0_2"), ElementsAre(Split::test, Split::test));
  EXPECT_THAT(sides.at("0_3"), ElementsAre(train, train));  // one slice of it lies where the tool looks
  fs::remove(experiment_ / "held_out/held_out.json");
  EXPECT_EQ(look_at_experiment(experiment_).held_out_caveat, kAllWereHeard);
}

TEST_F(ImportedExperiment, EverySliceThatCannotBeUsedHasAFateThatNamesTheFile) {
  write_applio_experiment(experiment_, 9);
  const auto waves = experiment_ / "sliced_audios", f0 = experiment_ / "f0_voiced", content = experiment_ / "extracted";
  fs::remove(waves / "0_0_0.wav");
  fs::remove(f0 / "0_0_1.wav.npy");
  fs::resize_file(content / "0_1_0.npy", 1000);
  write_file_atomically(waves / "0_1_1.wav", "no sound");
  const std::vector<std::int64_t> one{300}, flat{300, 1};
  write_npy<double>(f0 / "0_2_0.wav.npy", std::vector<double>(300, 100.0), one);
  write_npy<double>(f0 / "0_2_1.wav.npy", std::vector<double>(300, 100.0), flat);
  std::vector<float> rows(59 * 768, 1.0F);
  rows[5000] = std::nanf("");
  write_npy<float>(content / "0_3_0.npy", rows, std::vector<std::int64_t>{59, 768});
  write_audio(waves / "0_3_1.wav", {testing::pseudo_speech(1, 1.2, 48000), 1, 48000}, "wav32f");
  write_audio(waves / "0_4_0.wav", {std::vector<float>(48000, 0.0F), 1, 40000}, "wav32f");
  fs::copy_file(waves / "0_5_0.wav", waves / "0_6_0.wav", fs::copy_options::overwrite_existing);
  const auto report = import(experiment_);
  EXPECT_EQ(report.exit_code(), 3);
  const std::vector<std::tuple<std::string, std::string, std::string>> expected{
      {"0_0_0", "unreadable", "sliced_audios/0_0_0.wav is missing"},
      {"0_0_1", "unreadable", "f0_voiced/0_0_1.wav.npy is missing"},
      {"0_1_0", "unreadable", "extracted/0_1_0.npy: "},
      {"0_1_1", "unreadable", "sliced_audios/0_1_1.wav: "},
      {"0_2_0", "unreadable",
       "f0_voiced/0_2_0.wav.npy: it has 300 rows where the slice has 120: it is of another slice"},
      {"0_2_1", "unreadable", "f0_voiced/0_2_1.wav.npy: it is [300,1]; [120] is expected"},
      {"0_3_0", "unreadable", "extracted/0_3_0.npy: it holds values that are no numbers"},
      {"0_3_1", "unreadable", "sliced_audios/0_3_1.wav: it is at 48000 Hz, the voice at 40000 Hz"},
      {"0_4_0", "silent", ""},
      {"0_6_0", "duplicate", "the same samples as 0_5_0"},
  };
  for (const auto& [name, fate, detail] : expected) {
    const auto found = row(report, "sliced_audios/" + name + ".wav");
    EXPECT_EQ(found.fate, fate) << name;
    EXPECT_THAT(found.detail, HasSubstr(detail)) << name;
    EXPECT_EQ(found.n_clips, 0);
  }
  EXPECT_EQ(Dataset::open(dataset()).clips().size(), 18 - expected.size());
  EXPECT_EQ(Dataset::open(dataset()).recordings().size(), 18U);
}

TEST_F(ImportedExperiment, WithNothingUsableLeavesNoDataset) {
  write_applio_experiment(experiment_, 1);
  fs::remove_all(experiment_ / "extracted");
  const auto report = import(experiment_);
  EXPECT_EQ(report.outcome, "nothing usable");
  EXPECT_EQ(report.exit_code(), 3);
  EXPECT_THAT(row(report, "sliced_audios/0_0_1.wav").detail, "extracted/0_0_1.npy is missing");
  EXPECT_FALSE(fs::exists(dataset()));
}

TEST_F(ImportedExperiment, IsNotWrittenOverAnotherDataset) {
  write_applio_experiment(experiment_, 3);
  write_file_atomically(dataset(), "of somebody");
  EXPECT_THAT(refusal_of(ErrorKind::usage, [&] { (void)import(experiment_); }), HasSubstr("choose another --name"));
  EXPECT_EQ(read_file(dataset()), "of somebody");
}

TEST(ExperimentFolder, OtherFoldersAreRefusedInWords) {
  const TemporaryFolder folder;
  const auto refusal = [](const fs::path& path) {
    return refusal_of(ErrorKind::data, [&] { (void)look_at_experiment(path); });
  };
  EXPECT_THAT(refusal(folder / "nowhere"), HasSubstr("there is no folder"));
  EXPECT_THAT(refusal(folder.path()), HasSubstr("it has neither slices nor G_*.pth checkpoints"));
  write_file_atomically(folder / "mara_10e_500s.pth", "");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("its voices can be used as they are"));
  write_file_atomically(folder / "G_500.pth", "");
  write_file_atomically(folder / "D_500.pth", "");
  const auto found = look_at_experiment(folder.path());
  EXPECT_EQ(found.layout, nullptr);
  EXPECT_THAT(found.generators, ElementsAre(folder / "G_500.pth"));
  EXPECT_THAT(found.voices, ElementsAre(folder / "mara_10e_500s.pth"));
  write_applio_experiment(folder.path(), 1);
  write_file_atomically(folder / "filelist.txt", "a.wav|b|c|d|nobody\n");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("filelist.txt:1: expected wave|features|pitch|f0|speaker"));
  fs::remove(folder / "filelist.txt");
  write_file_atomically(folder / "model_info.json", "[]");
  EXPECT_THAT(refusal(folder.path()), HasSubstr("model_info.json' is no JSON object"));
}

TEST(ExperimentFolder, SlicesComeInTheOrderOfTheirNumbers) {
  const TemporaryFolder folder;
  const auto folders = applio_folders(folder.path(), 16000);
  for (const auto* name : {"1_0_0", "0_10_0", "0_2_0", "0_2_11", "0_2_3", "take one"}) folders.write(name, 1, 0.2);
  std::vector<std::string> names;
  std::vector<std::int64_t> speakers;
  for (const auto& slice : look_at_experiment(folder.path()).slices) {
    names.push_back(slice.name);
    speakers.push_back(slice.speaker);
  }
  EXPECT_THAT(names, ElementsAre("0_2_0", "0_2_3", "0_2_11", "0_10_0", "1_0_0", "take one"));
  EXPECT_THAT(speakers, ElementsAre(0, 0, 0, 0, 1, 0));
}

}  // namespace
}  // namespace melisma
