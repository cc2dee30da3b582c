// A multitrack dataset keeps songs and their tracks to the last bit, whatever their lengths, starts and channels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "data/sets/dataset.h"
#include "data/sets/dataset_writer.h"
#include "data/sets/feature_facts.h"
#include "data/sets/hdf5_file.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/seed.h"

namespace melisma {
namespace {
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;
namespace fs = std::filesystem;

DatasetPlan two_songs(WaveStorage storage) {
  DatasetPlan plan;
  plan.sample_rate_hz = 44100;
  plan.parameters = R"({"kind":"multitrack"})";
  plan.tool_version = "0.1.0";
  plan.storage = storage;
  plan.songs = {
      {.name = "Días",
       .artist = "Ana",
       .split = Split::train,
       .tracks = {{.name = "Kick In", .stem = "drums", .recording = "a/kick.wav", .n_channels = 1, .length = 3000},
                  {.name = "keys", .recording = "a/keys.wav", .n_channels = 2, .start = 500, .length = 1501}},
       .mix = Track{.name = "mix", .recording = "a/mix.wav", .n_channels = 2, .length = 3200}},
      {.name = "Night", .split = Split::test, .tracks = {{.name = "voice", .stem = "vocals", .length = 777}}}};
  return plan;
}

// The samples of a track: noise that int16 keeps exactly.
Waveform sound_of(const Track& track) {
  RandomSource random(seed_of(7, "track/" + track.name));
  Waveform sound{std::vector<float>(static_cast<std::size_t>(track.n_channels * track.length)), track.n_channels,
                 44100};
  for (auto& sample : sound.samples) sample = static_cast<float>(std::floor(random.uniform() * 65536) - 32768) / 32768;
  return sound;
}

// Frames [first, first + count) of a sound.
Waveform piece_of(const Waveform& sound, std::int64_t first, std::int64_t count) {
  Waveform piece{{}, sound.n_channels, sound.sample_rate_hz};
  for (std::int64_t c = 0; c < sound.n_channels; ++c) {
    const auto from = sound.channel(c).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    piece.samples.insert(piece.samples.end(), from.begin(), from.end());
  }
  return piece;
}

void write_songs(const fs::path& path, const DatasetPlan& plan, std::int64_t block) {
  auto songs = plan.songs;
  number_songs(songs);
  write_dataset(path, plan, [&](DatasetWriter& writer) {
    for (const auto* track : tracks_of(songs)) {
      const auto sound = sound_of(*track);
      for (std::int64_t at = 0; at < track->length; at += block) {
        writer.write_track(*track, piece_of(sound, at, std::min(block, track->length - at)));
      }
    }
  });
}

TEST(SongDataset, EverySampleOfEveryTrackReadsBack) {
  const TemporaryFolder folder;
  for (const auto storage : {WaveStorage::int16, WaveStorage::float32}) {
    write_songs(folder / "a.h5", two_songs(storage), 1000);
    const auto dataset = Dataset::open(folder / "a.h5", DatasetKind::multitrack);
    EXPECT_EQ(dataset.kind(), DatasetKind::multitrack);
    ASSERT_EQ(dataset.songs().size(), 2U);
    const auto& song = dataset.songs()[0];
    EXPECT_EQ(song.name, "Días");
    EXPECT_EQ(song.artist, "Ana");
    EXPECT_EQ(song.length(), 3000);
    EXPECT_EQ(song.tracks[0].stem, "drums");
    EXPECT_EQ(song.tracks[1].recording, "a/keys.wav");
    ASSERT_TRUE(song.mix.has_value());
    EXPECT_FALSE(dataset.songs()[1].mix.has_value());
    for (const auto& each : dataset.songs()) {
      auto tracks = each.tracks;
      if (each.mix) tracks.push_back(*each.mix);
      for (const auto& track : tracks) {
        EXPECT_EQ(dataset.excerpt(track, track.start, track.length).samples, sound_of(track).samples) << track.name;
      }
    }
    EXPECT_EQ(dataset.songs_of(Split::test).front().name, "Night");
    EXPECT_TRUE(dataset.songs_of(Split::validation).empty());
  }
}

TEST(SongDataset, ExcerptsLineUpAndAreSilentOutsideATrack) {
  const TemporaryFolder folder;
  write_songs(folder / "a.h5", two_songs(WaveStorage::int16), 4096);
  const auto dataset = Dataset::open(folder / "a.h5", DatasetKind::multitrack);
  const auto& song = dataset.songs()[0];
  const auto pieces = dataset.excerpts(song, 400, 2000);
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_EQ(pieces[0].samples, piece_of(sound_of(song.tracks[0]), 400, 2000).samples);
  ASSERT_EQ(pieces[1].n_channels, 2);
  EXPECT_THAT(pieces[1].channel(1).first(100), Each(0.0F));
  EXPECT_EQ(pieces[1].channel(1)[100], sound_of(song.tracks[1]).channel(1)[0]);
  EXPECT_EQ(pieces[1].channel(0)[100 + 1500], sound_of(song.tracks[1]).channel(0)[1500]);
  EXPECT_THAT(pieces[1].channel(0).subspan(1601), Each(0.0F));
  EXPECT_THAT(dataset.excerpt(song.tracks[0], 9000, 5).samples, ElementsAre(0, 0, 0, 0, 0));
  EXPECT_THAT(dataset.excerpt(song.tracks[0], -3, 3).samples, ElementsAre(0, 0, 0));
  EXPECT_EQ(dataset.excerpt(*song.mix, 3100, 200).channel(0)[99], sound_of(*song.mix).channel(0)[3199]);
}

TEST(SongDataset, HowBlocksAreCutDoesNotChangeAByte) {
  const TemporaryFolder folder;
  write_songs(folder / "a.h5", two_songs(WaveStorage::int16), 4096);
  write_songs(folder / "b.h5", two_songs(WaveStorage::int16), 97);
  EXPECT_EQ(read_file(folder / "a.h5"), read_file(folder / "b.h5"));
}

TEST(SongDataset, HashesFollowSamplesNamesAndSides) {
  const TemporaryFolder folder;
  write_songs(folder / "a.h5", two_songs(WaveStorage::int16), 4096);
  auto plan = two_songs(WaveStorage::int16);
  plan.songs[1].split = Split::validation;
  write_songs(folder / "b.h5", plan, 4096);
  plan = two_songs(WaveStorage::int16);
  plan.songs[0].tracks[0].stem = "bass";
  write_songs(folder / "c.h5", plan, 4096);
  const auto open = [&](const char* name) { return Dataset::open(folder / name, DatasetKind::multitrack); };
  const auto a = open("a.h5"), b = open("b.h5"), c = open("c.h5");
  EXPECT_NE(a.split_hash(), b.split_hash());
  EXPECT_EQ(a.split_hash(), c.split_hash());
  EXPECT_NE(a.content_hash(), c.content_hash());
}

TEST(SongDataset, EachKindIsRefusedWhereTheOtherIsNeeded) {
  const TemporaryFolder folder;
  write_songs(folder / "songs.h5", two_songs(WaveStorage::int16), 4096);
  EXPECT_THAT(message_of([&] { (void)Dataset::open(folder / "songs.h5"); }),
              HasSubstr("is a multitrack dataset, but this needs a voice dataset: recordings of voices"));
  DatasetPlan voices;
  voices.sample_rate_hz = 40000;
  voices.parameters = "{}";
  voices.speakers = {"anna"};
  voices.clips = {{.recording = "1.wav", .length = 2}};
  write_dataset(folder / "voices.h5", voices, [](DatasetWriter& writer) {
    writer.write_wave(0, std::vector<float>{0.5F, 0.25F});
  });
  EXPECT_THAT(message_of([&] { (void)Dataset::open(folder / "voices.h5", DatasetKind::multitrack); }),
              AllOf(HasSubstr("is a voice dataset, but this needs a multitrack dataset"),
                    HasSubstr("melisma prepare FOLDER --kind multitrack")));
  EXPECT_EQ(Dataset::open_any(folder / "voices.h5").kind(), DatasetKind::voice);
}

// 20 s of a stereo song at 44.1 kHz: 128 bands every 512 samples, from the floor of -100 dB to full scale and beyond.
TEST(SongDataset, MelSpectrogramsInEightBitsAreSmallAndNearTheTruth) {
  const TemporaryFolder folder;
  DatasetPlan plan;
  plan.sample_rate_hz = 44100;
  plan.parameters = "{}";
  plan.songs = {
      {.name = "a", .tracks = {{.name = "x", .n_channels = 2, .length = 20 * 44100}, {.name = "y", .length = 100}}}};
  const FeatureKey key{"mel", R"({"hop":512})"};
  RandomSource random(5);
  std::vector<float> loud(1723 * 128), constant(2 * 128, -55.5F);
  for (auto& value : loud) value = static_cast<float>(-100 + 120 * random.uniform());
  write_dataset(folder / "a.h5", plan, [&](DatasetWriter& writer) {
    auto songs = plan.songs;
    number_songs(songs);
    for (const auto* track : tracks_of(songs)) writer.write_track(*track, sound_of(*track));
    writer.begin_features({.key = key, .width = 128, .frames = {1723, 2}, .storage = FeatureStorage::eight_bit});
    writer.write_features(key, 0, loud);
    writer.write_features(key, 1, constant);
  });
  const auto dataset = Dataset::open(folder / "a.h5", DatasetKind::multitrack);
  const auto read = dataset.feature_rows(key, dataset.songs()[0].tracks[0]);
  double worst = 0;
  for (std::size_t i = 0; i < loud.size(); ++i) worst = std::max<double>(worst, std::abs(read.values[i] - loud[i]));
  EXPECT_LT(worst, 0.25);
  EXPECT_GT(worst, 0.2);
  EXPECT_EQ(dataset.feature_rows(key, dataset.songs()[0].tracks[1]).values, constant);
  const auto facts = feature_facts(dataset, key);
  EXPECT_EQ(facts.storage, "eight bits");
  EXPECT_NEAR(facts.largest_error, worst, 1e-5);
  EXPECT_LT(static_cast<double>(facts.bytes), 0.2 * static_cast<double>(facts.wave_bytes));
}

TEST(SongDataset, FeaturesInEightBitsMustBeFinite) {
  const TemporaryFolder folder;
  const FeatureKey key{"mel", "{}"};
  EXPECT_THAT(
      message_of([&] {
        write_dataset(folder / "a.h5", two_songs(WaveStorage::int16), [&](DatasetWriter& writer) {
          writer.begin_features({.key = key, .width = 1, .frames = {2, 0, 0, 0}, .storage = FeatureStorage::eight_bit});
          writer.write_features(key, 0, std::vector<float>{1, std::nanf("")});
        });
      }),
      HasSubstr("are not finite"));
}

TEST(SongDataset, TheLedgerOfTestOpeningsIsKeptToo) {
  const TemporaryFolder folder;
  write_songs(folder / "a.h5", two_songs(WaveStorage::int16), 4096);
  auto dataset = Dataset::open(folder / "a.h5", DatasetKind::multitrack);
  dataset.record_test_opening({"now", "melisma evaluate", "m"});
  EXPECT_EQ(Dataset::open_any(folder / "a.h5").ledger().size(), 1U);
}

TEST(SongDataset, ReadsAreTheSameFromManyThreads) {
  const TemporaryFolder folder;
  write_songs(folder / "a.h5", two_songs(WaveStorage::int16), 4096);
  const auto dataset = Dataset::open(folder / "a.h5", DatasetKind::multitrack);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 40; ++i) {
        const auto& track = dataset.songs()[0].tracks[static_cast<std::size_t>((i + t) % 2)];
        if (dataset.excerpt(track, track.start + i, 900).samples != piece_of(sound_of(track), i, 900).samples) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(SongDataset, DamagedTablesAreRefusedWithTheReason) {
  const TemporaryFolder folder;
  const auto damaged = [&](const std::string& column, std::int64_t value) {
    write_songs(folder / "a.h5", two_songs(WaveStorage::int16), 4096);
    {
      auto file = Hdf5File::extend(folder / "a.h5");
      file.write_rows<std::int64_t>(column, 1, std::vector<std::int64_t>{value});
    }
    return message_of([&] { (void)Dataset::open_any(folder / "a.h5"); });
  };
  EXPECT_THAT(damaged("/tracks/length", 1 << 20), HasSubstr("track 1 of"));
  EXPECT_THAT(damaged("/tracks/channels", 3), HasSubstr("of 3 channels"));
  EXPECT_THAT(damaged("/tracks/offset", -4), HasSubstr("from sample -4 on"));
  EXPECT_THAT(damaged("/tracks/song", 5), HasSubstr("belongs to song 5, but there are 2"));
}

TEST(SongDataset, AnIncompleteOrMixedUpFillLeavesNoFile) {
  const TemporaryFolder folder;
  const auto plan = two_songs(WaveStorage::int16);
  auto songs = plan.songs;
  number_songs(songs);
  const auto& first = songs[0].tracks[0];
  const auto fill = [&](const std::function<void(DatasetWriter&)>& action) {
    return message_of([&] { write_dataset(folder / "a.h5", plan, action); });
  };
  EXPECT_THAT(fill([&](DatasetWriter& writer) { writer.write_track(first, piece_of(sound_of(first), 0, 100)); }),
              HasSubstr("track 0 has 100 of 3000 frames"));
  EXPECT_THAT(fill([&](DatasetWriter& writer) { writer.write_track(first, sound_of(songs[0].tracks[1])); }),
              HasSubstr("track 0 has 1 channels"));
  EXPECT_FALSE(fs::exists(folder / "a.h5"));
}

// What a person with Python does first; skipped where h5py is not installed.
TEST(SlowSongDataset, H5pyReadsWhatWeWrite) {
  if (std::system("python3 -c 'import h5py' 2>/dev/null") != 0) GTEST_SKIP() << "no h5py";
  const TemporaryFolder folder;
  write_songs(folder / "a.h5", two_songs(WaveStorage::float32), 4096);
  const auto dataset = Dataset::open(folder / "a.h5", DatasetKind::multitrack);
  const auto& keys = dataset.songs()[0].tracks[1];
  write_file_atomically(folder / "check.py", fmt::format(R"(
import sys, h5py
f = h5py.File(sys.argv[1], "r")
assert f.attrs["kind"] == "multitrack" and f.attrs["sample_rate_hz"] == 44100
assert [s.decode() for s in f["songs/name"]] == ["D\u00edas", "Night"]
assert list(f["tracks/song"]) == [0, 0, 0, 1] and list(f["tracks/is_mix"]) == [0, 0, 1, 0]
offset, channels, length = (f["tracks/" + n][1] for n in ("offset", "channels", "length"))
sound = f["wave"][offset:offset + channels * length].reshape(channels, length)
assert sound.shape == (2, 1501) and abs(float(sound[1, 3]) - {:.9f}) < 1e-8, sound[1, 3]
assert list(f["splits/train"]) == [0] and list(f["splits/test"]) == [1]
)",
                                                         sound_of(keys).channel(1)[3]));
  const auto command = "python3 " + (folder / "check.py").string() + " " + (folder / "a.h5").string();
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace melisma
