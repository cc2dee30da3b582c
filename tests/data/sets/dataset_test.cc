// A dataset keeps what it was given: clips, splits, several feature sets, the ledger; and refuses what is damaged.
#include "data/sets/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <set>
#include <thread>

#include "data/sets/dataset_writer.h"
#include "data/sets/hdf5_file.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using ::testing::Not;
using testing::TemporaryFolder;
namespace fs = std::filesystem;

// Samples of clip i: a ramp that int16 keeps exactly.
std::vector<float> ramp(std::int64_t clip, std::int64_t length) {
  std::vector<float> samples(static_cast<std::size_t>(length));
  for (std::size_t k = 0; k < samples.size(); ++k) {
    samples[k] = static_cast<float>((static_cast<std::int64_t>(k) * 7 + clip * 1000) % 32768) / 32768.0F;
  }
  return samples;
}

DatasetPlan small_plan(WaveStorage storage = WaveStorage::int16) {
  DatasetPlan plan;
  plan.sample_rate_hz = 40000;
  plan.parameters = R"({"slicing":"automatic"})";
  plan.tool_version = "0.1.0";
  plan.storage = storage;
  plan.speakers = {"alice", "bób"};
  plan.clips = {
      {.recording = "alice/1.wav", .speaker = 0, .length = 4000, .split = Split::train},
      {.recording = "alice/1.wav", .recording_offset = 4000, .speaker = 0, .length = 800, .split = Split::train},
      {.recording = "bób/2.wav", .speaker = 1, .length = 1200, .split = Split::test}};
  plan.recordings = {{"alice/1.wav", "alice", "kept", "", 0.12, 0.12, 2, -1, "train"},
                     {"bób/2.wav", "bób", "kept", "", 0.03, 0.03, 1, 4, "test"},
                     {"bób/3.wav", "bób", "silent", "no sound above -60 dB", 2.0, 0, 0, -1, ""}};
  return plan;
}

const FeatureKey kPitch{"pitch", R"({"method":"yin"})"};
const FeatureKey kOtherPitch{"pitch", R"({"method":"pyin"})"};

FeatureMatrix numbered(const Clip& clip, std::int64_t width) {
  FeatureMatrix made{{}, n_feature_frames(clip.length, 40000), width};
  for (std::int64_t i = 0; i < made.n_frames * width; ++i) {
    made.values.push_back(static_cast<float>(clip.index * 100 + i));
  }
  return made;
}

void write_small(const fs::path& path, const DatasetPlan& plan) {
  write_dataset(path, plan, [&](DatasetWriter& writer) {
    for (std::int64_t i = 0; i < 3; ++i) {
      writer.write_wave(i, ramp(i, plan.clips[static_cast<std::size_t>(i)].length));
    }
    writer.begin_features({kPitch, 1, {10, 2, 3}});
    for (std::int64_t i = 0; i < 3; ++i) {
      auto clip = plan.clips[static_cast<std::size_t>(i)];
      clip.index = i;
      writer.write_features(kPitch, i, numbered(clip, 1).values);
    }
  });
}

TEST(Dataset, WhatIsWrittenReadsBack) {
  const TemporaryFolder folder;
  for (const auto storage : {WaveStorage::int16, WaveStorage::float32}) {
    write_small(folder / "a.h5", small_plan(storage));
    const auto dataset = Dataset::open(folder / "a.h5");
    EXPECT_EQ(dataset.sample_rate_hz(), 40000);
    EXPECT_THAT(dataset.speakers(), ElementsAre("alice", "bób"));
    ASSERT_EQ(dataset.clips().size(), 3u);
    EXPECT_EQ(dataset.clips()[2].offset, 4800);
    EXPECT_EQ(dataset.clips()[2].recording, "bób/2.wav");
    EXPECT_EQ(dataset.clips_of(Split::train).size(), 2u);
    EXPECT_EQ(dataset.clips_of(Split::test).size(), 1u);
    EXPECT_TRUE(dataset.clips_of(Split::validation).empty());
    for (const auto& clip : dataset.clips()) EXPECT_EQ(dataset.wave(clip), ramp(clip.index, clip.length));
    const auto part = dataset.wave(dataset.clips()[2], 100, 5);
    const auto whole = ramp(2, 1200);
    EXPECT_EQ(part, std::vector<float>(whole.begin() + 100, whole.begin() + 105));
    EXPECT_EQ(dataset.recordings()[2].fate, "silent");
    EXPECT_EQ(dataset.recordings()[1].duplicate_group, 4);
    EXPECT_EQ(dataset.content_hash().size(), 32u);
  }
}

TEST(Dataset, EqualContentGivesEqualBytes) {
  const TemporaryFolder folder;
  write_small(folder / "a.h5", small_plan());
  write_small(folder / "b.h5", small_plan());
  EXPECT_EQ(read_file(folder / "a.h5"), read_file(folder / "b.h5"));
}

TEST(Dataset, HashesFollowContentAndSplits) {
  const TemporaryFolder folder;
  write_small(folder / "a.h5", small_plan());
  auto plan = small_plan();
  plan.clips[1].split = Split::validation;
  write_small(folder / "b.h5", plan);
  plan = small_plan();
  plan.parameters = "{}";
  write_small(folder / "c.h5", plan);
  const auto a = Dataset::open(folder / "a.h5"), b = Dataset::open(folder / "b.h5"), c = Dataset::open(folder / "c.h5");
  EXPECT_NE(a.split_hash(), b.split_hash());
  EXPECT_NE(a.content_hash(), b.content_hash());
  EXPECT_EQ(a.split_hash(), c.split_hash());
  EXPECT_NE(a.content_hash(), c.content_hash());
}

TEST(Dataset, FeatureSetsLieSideBySide) {
  const TemporaryFolder folder;
  write_small(folder / "a.h5", small_plan());
  const auto before = Dataset::open(folder / "a.h5");
  EXPECT_TRUE(before.has_features(kPitch));
  EXPECT_FALSE(before.has_features(kOtherPitch));
  EXPECT_THAT(message_of([&] { (void)before.features(kOtherPitch, before.clips()[0]); }),
              HasSubstr(R"(has no pitch features with parameters {"method":"pyin"}; it has:)"));
  add_features(
      folder / "a.h5", 4, [](const Clip& clip) { return numbered(clip, 4); }, kOtherPitch);
  const auto after = Dataset::open(folder / "a.h5");
  EXPECT_EQ(after.feature_sets().size(), 2u);
  EXPECT_EQ(after.content_hash(), before.content_hash());
  for (const auto& clip : after.clips()) {
    EXPECT_EQ(after.features(kPitch, clip).values, numbered(clip, 1).values);
    const auto wide = after.features(kOtherPitch, clip);
    EXPECT_EQ(wide.n_frames, n_feature_frames(clip.length, 40000));
    EXPECT_EQ(wide.width, 4);
    EXPECT_EQ(wide.values, numbered(clip, 4).values);
    EXPECT_EQ(before.wave(clip), after.wave(clip));
  }
}

TEST(Dataset, RowsThatStandForSeveralFramesAreReadRepeated) {
  const TemporaryFolder folder;
  write_small(folder / "a.h5", small_plan());
  const auto rows_of = [](const Clip& clip) {
    const auto n = n_feature_rows(n_feature_frames(clip.length, 40000), 2);
    FeatureMatrix rows{.values = {}, .n_frames = n, .width = 2};
    for (std::int64_t i = 0; i < n; ++i) rows.values.insert(rows.values.end(), {static_cast<float>(i), -1.0F});
    return rows;
  };
  add_features(folder / "a.h5", 2, rows_of, kOtherPitch, /*frames_a_row=*/2);
  const auto dataset = Dataset::open(folder / "a.h5");
  EXPECT_EQ(dataset.feature_width(kOtherPitch), 2);
  EXPECT_EQ(dataset.feature_width(kPitch), 1);
  for (const auto& clip : dataset.clips()) {
    EXPECT_EQ(dataset.feature_rows(kOtherPitch, clip).values, rows_of(clip).values);
    const auto frames = dataset.features(kOtherPitch, clip);
    ASSERT_EQ(frames.n_frames, n_feature_frames(clip.length, 40000));
    for (std::int64_t t = 0; t < frames.n_frames; ++t) {
      EXPECT_EQ(frames.values[static_cast<std::size_t>(2 * t)], static_cast<float>(t / 2));
    }
  }
}

TEST(Dataset, MissingRowsAreTheLastOneHeld) {
  const FeatureMatrix rows{.values = {1, 2, 3, 4}, .n_frames = 2, .width = 2};
  EXPECT_EQ(repeat_rows(rows, 2, 3).values, (std::vector<float>{1, 2, 1, 2, 3, 4}));
  EXPECT_EQ(repeat_rows(rows, 1, 4).values, (std::vector<float>{1, 2, 3, 4, 3, 4, 3, 4}));
  EXPECT_EQ(repeat_rows({.values = {}, .n_frames = 0, .width = 2}, 2, 5).n_frames, 0);
}

TEST(Dataset, AFailedAdditionLeavesTheFileAsItWas) {
  const TemporaryFolder folder;
  write_small(folder / "a.h5", small_plan());
  const auto bytes = read_file(folder / "a.h5");
  EXPECT_THROW(add_features(
                   folder / "a.h5", 4, [](const Clip& clip) { return numbered(clip, 3); }, kOtherPitch),
               Error);
  EXPECT_EQ(read_file(folder / "a.h5"), bytes);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(Dataset, TheLedgerKeepsEveryOpening) {
  const TemporaryFolder folder;
  write_small(folder / "a.h5", small_plan());
  auto dataset = Dataset::open(folder / "a.h5");
  EXPECT_TRUE(dataset.ledger().empty());
  dataset.record_test_opening({"2026-01-02T03:04:05Z", "melisma evaluate m --split test", "abc"});
  ASSERT_EQ(dataset.ledger().size(), 1u);
  EXPECT_EQ(Dataset::open(folder / "a.h5").ledger()[0].command, "melisma evaluate m --split test");
  EXPECT_EQ(dataset.ledger()[0].model_hash, "abc");
  add_features(
      folder / "a.h5", 4, [](const Clip& clip) { return numbered(clip, 4); }, kOtherPitch);
  EXPECT_EQ(Dataset::open(folder / "a.h5").ledger().size(), 1u);
}

TEST(Dataset, TheLedgerGrowsPastAPageAndFromSeveralThreads) {
  const TemporaryFolder folder;
  write_small(folder / "a.h5", small_plan());
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      auto dataset = Dataset::open(folder / "a.h5");
      for (int i = 0; i < 90; ++i) dataset.record_test_opening({"now", fmt::format("command {} {}", t, i), ""});
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<std::string> commands;
  for (const auto& entry : Dataset::open(folder / "a.h5").ledger()) commands.insert(entry.command);
  EXPECT_EQ(commands.size(), 270u);
}

TEST(Dataset, ReadsAreTheSameFromManyThreads) {
  const TemporaryFolder folder;
  write_small(folder / "a.h5", small_plan());
  const auto dataset = Dataset::open(folder / "a.h5");
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const auto& clip = dataset.clips()[static_cast<std::size_t>(i % 3)];
        if (dataset.wave(clip) != ramp(clip.index, clip.length)) ++wrong;
        if (dataset.features(kPitch, clip).values != numbered(clip, 1).values) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Dataset, ForeignAndDamagedFilesAreRefusedWithTheReason) {
  const TemporaryFolder folder;
  { auto other = Hdf5File::create(folder / "other.h5"); }
  EXPECT_THAT(message_of([&] { (void)Dataset::open(folder / "other.h5"); }),
              HasSubstr("is no dataset of this program"));
  write_small(folder / "a.h5", small_plan());
  {
    auto file = Hdf5File::extend(folder / "a.h5");
    file.set_attribute("/", "schema_version", 9);
  }
  EXPECT_THAT(message_of([&] { (void)Dataset::open(folder / "a.h5"); }), HasSubstr("has schema version 9"));
  write_small(folder / "a.h5", small_plan());
  {
    auto file = Hdf5File::extend(folder / "a.h5");
    file.write_rows<std::int64_t>("/clips/length", 2, std::vector<std::int64_t>{99999});
  }
  EXPECT_THAT(message_of([&] { (void)Dataset::open(folder / "a.h5"); }), HasSubstr("clip 2 of"));
}

TEST(Dataset, ATruncatedFileNeverCrashes) {
  const TemporaryFolder folder;
  write_small(folder / "a.h5", small_plan());
  const auto bytes = read_file(folder / "a.h5");
  for (std::size_t size = 0; size < bytes.size(); size += bytes.size() / 40) {
    write_file_atomically(folder / "cut.h5", std::string_view(bytes).substr(0, size));
    EXPECT_THAT(message_of([&] {
                  const auto dataset = Dataset::open(folder / "cut.h5");
                  for (const auto& clip : dataset.clips()) (void)dataset.wave(clip);
                }),
                Not(HasSubstr("no error")))
        << size;
  }
}

// What a person with Python does first; skipped where h5py is not installed.
TEST(SlowDataset, H5pyReadsWhatWeWrite) {
  if (std::system("python3 -c 'import h5py' 2>/dev/null") != 0) GTEST_SKIP() << "no h5py";
  const TemporaryFolder folder;
  write_small(folder / "a.h5", small_plan());
  write_file_atomically(folder / "check.py", R"(
import sys, h5py
f = h5py.File(sys.argv[1], "r")
assert f.attrs["schema_version"] == 1 and f.attrs["sample_rate_hz"] == 40000
assert [s.decode() for s in f["speakers"]] == ["alice", "b\u00f3b"]
assert [s.decode() for s in f["clips/split"]] == ["train", "train", "test"]
offset, length = f["clips/offset"][2], f["clips/length"][2]
assert list(f["wave"][offset:offset + 3]) == [2000, 2007, 2014] and length == 1200
(group,) = f["features/pitch"].values()
assert group.attrs["parameters"] == '{"method":"yin"}' and group["values"].shape == (15, 1)
assert list(f["splits/test"]) == [2] and len(f["ledger/000/time_utc"]) == 256
)");
  const auto command = "python3 " + (folder / "check.py").string() + " " + (folder / "a.h5").string();
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST(WaveStorage, RoundsToTheNearestAndLimits) {
  EXPECT_EQ(to_int16(1.0F), 32767);
  EXPECT_EQ(to_int16(-1.5F), -32768);
  EXPECT_EQ(to_int16(0.6F / 32768), 1);
  EXPECT_EQ(to_int16(0.4F / 32768), 0);
  EXPECT_THAT(message_of([] { (void)wave_storage_named("int61"); }), HasSubstr("did you mean 'int16'"));
}

}  // namespace
}  // namespace melisma
