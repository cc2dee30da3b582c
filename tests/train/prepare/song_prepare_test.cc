// Songs in tracks become a dataset: a fate for every file, sides by artist, the same bytes whatever the
// threads.
#include "train/prepare/song_prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "data/audio/resample.h"
#include "tests/train/prepare/studio.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using testing::fates_of;
using ::testing::HasSubstr;
using testing::message_of;
using testing::noise;
using testing::put_nan_at_the_end;
using testing::Studio;
using testing::touch;
using ::testing::UnorderedElementsAre;

TEST(SongPrepare, TracksAreKeptToTheLastBitAndResampledWhereNeeded) {
  Studio studio;
  studio.request.config.storage = "float32";
  const auto drums = noise("d", 0.7), voice = noise("v", 0.5, 1, 22050);
  studio.write("song/drums.wav", drums);
  studio.write("song/voice.wav", voice);
  studio.write("song/mix.wav", noise("m", 0.7));
  const auto report = studio.run();
  EXPECT_EQ(report.exit_code(), 0);
  EXPECT_EQ(report.outcome, "written");
  const auto dataset = studio.dataset();
  ASSERT_EQ(dataset.songs().size(), 1U);
  const auto& song = dataset.songs()[0];
  ASSERT_EQ(song.tracks.size(), 2U);
  EXPECT_EQ(dataset.excerpt(song.tracks[0], 0, song.tracks[0].length).samples, drums.samples);
  EXPECT_EQ(dataset.excerpt(song.tracks[1], 0, song.tracks[1].length).samples, resample(voice, 44100).samples);
  EXPECT_EQ(song.tracks[1].n_channels, 1);
  EXPECT_TRUE(song.mix.has_value());
  EXPECT_EQ(dataset.content_hash(), report.content_hash);
}

TEST(SongPrepare, EveryFileHasAFate) {
  Studio studio;
  studio.write_song("good", 2);
  auto silent = noise("s", 0.5), broken = noise("n", 0.5), loud = noise("c", 0.5);
  for (auto& sample : silent.samples) sample = 0;
  for (std::size_t i = 0; i < 2000; ++i) loud.samples[i] = 1.0F;
  studio.write("odd/silent.wav", silent);
  studio.write("odd/nan.wav", broken);
  put_nan_at_the_end(studio.request.songs / "odd/nan.wav");
  studio.write("odd/clipped.wav", loud);
  studio.write("odd/short.wav", noise("t", 0.1));
  studio.write("odd/surround.wav", noise("6", 0.5, 6));
  touch(studio.request.songs, {"odd/text.wav"});
  studio.write("lost/short.wav", noise("u", 0.1));
  studio.write("odd/mix.wav", noise("mix", 0.5));
  const auto report = studio.run();
  EXPECT_EQ(report.exit_code(), 3);
  auto fates = fates_of(report);
  EXPECT_EQ(fates["odd/silent.wav"], "silent");
  EXPECT_EQ(fates["odd/nan.wav"], "non_finite");
  EXPECT_EQ(fates["odd/clipped.wav"], "clipped");
  EXPECT_EQ(fates["odd/short.wav"], "too_short");
  EXPECT_EQ(fates["odd/surround.wav"], "unreadable");
  EXPECT_EQ(fates["odd/text.wav"], "unreadable");
  EXPECT_EQ(fates["good/track00.wav"], "kept");
  EXPECT_EQ(report.files.size(), 10U);
  std::map<std::string, SongSummary> songs;
  for (const auto& song : report.songs) songs[song.folder] = song;
  EXPECT_EQ(songs["lost"].split, "");
  EXPECT_EQ(songs["lost"].note, "left out: none of its tracks is of use");
  EXPECT_EQ(songs["odd"].n_tracks, 1);
  EXPECT_EQ(songs["odd"].n_lost, 5);
  EXPECT_EQ(songs["odd"].note, "its mix may hold what 5 lost tracks had");
  EXPECT_EQ(studio.dataset().songs().size(), 2U);
}

TEST(SongPrepare, ASongOfOneTrackAndOneOfTwentyAreKept) {
  Studio studio;
  studio.write_song("one", 1);
  studio.write_song("twenty", 20);
  const auto report = studio.run();
  EXPECT_EQ(report.songs[0].note, "one track: nothing to balance");
  EXPECT_EQ(report.songs[1].note, "");
  EXPECT_EQ(studio.dataset().songs()[1].tracks.size(), 20U);
}

TEST(SongPrepare, NothingUsableWritesNoDatasetAndSaysSo) {
  Studio studio;
  studio.write("a/short.wav", noise("a", 0.1));
  const auto report = studio.run();
  EXPECT_EQ(report.outcome, "nothing usable");
  EXPECT_EQ(report.exit_code(), 3);
  EXPECT_FALSE(fs::exists(studio.request.dataset));
}

TEST(SongPrepare, BytesAreTheSameForAnyNumberOfThreadsAndFinishedTracksAreTakenUp) {
  Studio studio;
  for (const auto* song : {"a", "b", "c"}) studio.write_song(song, 3);
  const auto first = studio.run();
  EXPECT_EQ(first.n_parts_reused, 0);
  const auto bytes = read_file(studio.request.dataset);
  fs::remove_all(studio.request.cache);
  studio.request.threads = 1;
  studio.request.dataset = studio.folder.path() / "datasets/b.h5";
  studio.run();
  EXPECT_EQ(read_file(studio.request.dataset), bytes);
  const auto again = studio.run();
  EXPECT_EQ(again.n_parts_reused, 9);
  EXPECT_EQ(again.outcome, "already complete");
  studio.request.config.storage = "float32";
  EXPECT_THAT(message_of([&] { studio.run(); }), HasSubstr("there is already a dataset"));
  studio.request.force = true;
  EXPECT_EQ(studio.run().outcome, "written");
}

TEST(SongPrepare, AnArtistIsOnOneSideUnlessSongsAreParted) {
  Studio studio;
  for (int i = 0; i < 12; ++i) studio.write_song(fmt::format("Band {} - Song {}", i % 4, i), 1);
  studio.request.config.validation_share = 0.3;
  studio.request.config.test_share = 0.3;
  studio.run();
  std::map<std::string, std::set<Split>> sides;
  std::set<Split> used;
  for (const auto& song : studio.dataset().songs()) {
    sides[song.artist].insert(song.split);
    used.insert(song.split);
  }
  EXPECT_EQ(sides.size(), 4U);
  for (const auto& [artist, where] : sides) EXPECT_EQ(where.size(), 1U) << artist;
  EXPECT_EQ(used.size(), 3U);
  studio.request.config.split_by = "song";
  studio.request.force = true;
  studio.run();
  std::size_t n_parted = 0;
  sides.clear();
  for (const auto& song : studio.dataset().songs()) sides[song.artist].insert(song.split);
  for (const auto& [artist, where] : sides) n_parted += where.size() > 1 ? 1 : 0;
  EXPECT_GT(n_parted, 0U);
}

TEST(SongPrepare, SongsThatShareATrackAreOnOneSideAndCopiesAreLeftOut) {
  Studio studio;
  studio.request.config.validation_share = 0.4;
  studio.request.config.test_share = 0.4;
  for (int i = 0; i < 10; ++i) {
    studio.write_song(fmt::format("s{}", i), 1);
    studio.write(fmt::format("s{}/shared.wav", i), noise(fmt::format("pair {}", i / 2), 0.5));
  }
  studio.write("copy/x.wav", noise("s3/track00.wav", 0.5));
  studio.write("copy/y.wav", noise("pair 1", 0.5));
  const auto report = studio.run();
  std::map<std::string, std::string> side;
  for (const auto& song : report.songs) side[song.folder] = song.split;
  for (const int i : {0, 4, 6, 8}) EXPECT_EQ(side[fmt::format("s{}", i)], side[fmt::format("s{}", i + 1)]) << i;
  auto fates = fates_of(report);
  EXPECT_EQ(side["s3"], "");
  EXPECT_EQ(side["s2"], side["copy"]);
  EXPECT_EQ(fates["s3/shared.wav"], "duplicate");
  EXPECT_THAT(report.songs[4].note, HasSubstr("left out: the same tracks as copy"));
}

TEST(SongPrepare, TheCorpusKeepsItsOwnTestSideUnlessToldOtherwise) {
  Studio studio;
  for (int i = 0; i < 6; ++i) {
    const auto song = fmt::format("{}/A{} - S{}/", i < 2 ? "test" : "train", i, i);
    for (const auto* stem : {"drums", "bass", "mixture"}) studio.write(song + stem + ".wav", noise(song + stem, 0.5));
  }
  EXPECT_EQ(studio.run().layout, "musdb18-hq");
  std::vector<std::string> test;
  for (const auto& song : studio.dataset().songs_of(Split::test)) test.push_back(song.name);
  EXPECT_THAT(test, UnorderedElementsAre("S0", "S1"));
  EXPECT_EQ(studio.dataset().songs_of(Split::validation).size(), 1U);
  studio.request.config.own_split = false;
  studio.request.config.seed = 4;
  studio.request.force = true;
  studio.run();
  EXPECT_EQ(studio.dataset().songs_of(Split::test).size(), 1U);
}

TEST(SongPrepare, AListNamesSongsByTheirFolders) {
  Studio studio;
  for (const auto* song : {"a", "b", "c"}) studio.write_song(song, 2);
  studio.request.split_list = studio.folder / "list.txt";
  write_file_atomically(*studio.request.split_list, "train a\ntest b\nvalidation c\n");
  studio.run();
  EXPECT_EQ(studio.dataset().songs_of(Split::test).front().name, "b");
  write_file_atomically(*studio.request.split_list, "train a\ntest bb\nvalidation c\n");
  EXPECT_THAT(message_of([&] { studio.run(); }), HasSubstr("no recording 'bb'; did you mean 'b'?"));
}

TEST(SlowSongPrepare, FiveStreamsOfAStemFileAreFourTracksAndAMix) {
  if (std::system("ffmpeg -version > /dev/null 2>&1") != 0) GTEST_SKIP() << "no ffmpeg";
  Studio studio;
  fs::create_directories(studio.request.songs / "train");
  std::string inputs, maps;
  for (int i = 0; i < 5; ++i) {
    inputs += fmt::format(" -f lavfi -i sine=frequency={}:duration=1:sample_rate=44100", 200 * (i + 1));
    maps += fmt::format(" -map {}:a", i);
  }
  const auto command = "ffmpeg -v error" + inputs + maps + " -ac 2 -c:a aac '" +
                       (studio.request.songs / "train/Ann - Tune.stem.mp4").string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  const auto report = studio.run();
  EXPECT_EQ(report.exit_code(), 0) << studio.sink.said;
  const auto dataset = studio.dataset();
  const auto& song = dataset.songs().at(0);
  ASSERT_EQ(song.tracks.size(), 4U);
  EXPECT_EQ(song.artist, "Ann");
  // Zero crossings tell which tone a stream holds: 600 Hz is that of bass, the third stream.
  const auto crossings = [&](const Track& track) {
    const auto wave = dataset.excerpt(track, 11025, 22050);
    const auto left = wave.channel(0);
    int n = 0;
    for (std::size_t i = 1; i < left.size(); ++i) n += (left[i - 1] < 0) != (left[i] < 0) ? 1 : 0;
    return n;
  };
  EXPECT_NEAR(crossings(song.tracks[1]), 600, 2);
  EXPECT_NEAR(crossings(*song.mix), 200, 2);
}

}  // namespace
}  // namespace melisma
