// Songs in tracks become a dataset: layouts, a fate for every file, sides by artist, the same bytes whatever the
// threads.
#include "train/prepare/song_prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <set>

#include "data/audio/audio_writer.h"
#include "data/audio/resample.h"
#include "data/sets/npy.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/seed.h"
#include "train/prepare/song_layouts.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TemporaryFolder;
using ::testing::UnorderedElementsAre;

class QuietSink final : public EventSink {
 public:
  void receive(const Event& event) override {
    if (const auto* message = std::get_if<MessageEvent>(&event)) said += message->text + "\n";
  }
  std::string said;
};

// Noise of its own for every name.
Waveform noise(const std::string& name, double seconds, std::int64_t n_channels = 2, std::int64_t rate_hz = 44100) {
  RandomSource random(seed_of(3, name));
  const auto n_frames = static_cast<std::int64_t>(std::lround(seconds * static_cast<double>(rate_hz)));
  Waveform wave{std::vector<float>(static_cast<std::size_t>(n_channels * n_frames)), n_channels, rate_hz};
  for (auto& sample : wave.samples) sample = static_cast<float>(0.5 * random.uniform() - 0.25);
  return wave;
}

// Our own writer refuses what is not finite, so the last sample of a float file is changed by hand.
void put_nan_at_the_end(const fs::path& path) {
  auto bytes = read_file(path);
  const float value = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bytes.data() + bytes.size() - sizeof value, &value, sizeof value);
  write_file_atomically(path, bytes);
}

struct Studio {
  TemporaryFolder folder;
  QuietSink sink;
  SongRequest request;

  Studio() {
    request.songs = folder / "in";
    request.dataset = folder.path() / "datasets/a.h5";
    request.cache = folder / "cache";
    request.tool_version = "test";
    request.threads = 2;
  }
  void write(const std::string& name, const Waveform& wave) const {
    const auto path = request.songs / name;
    fs::create_directories(path.parent_path());
    write_audio(path, wave, "wav32f");
  }
  void write_song(const std::string& song, int n_tracks, double seconds = 0.5) const {
    for (int i = 0; i < n_tracks; ++i) {
      const auto name = fmt::format("{}/track{:02}.wav", song, i);
      write(name, noise(name, seconds));
    }
  }
  SongReport run() { return prepare_songs(request, sink); }
  [[nodiscard]] Dataset dataset() const { return Dataset::open(request.dataset, DatasetKind::multitrack); }
};

std::map<std::string, std::string> fates_of(const SongReport& report) {
  std::map<std::string, std::string> fates;
  for (const auto& row : report.files) fates[row.path] = row.fate;
  return fates;
}

template <class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// "folder: artist|title tracks(stem) +mix @side" of every song.
std::vector<std::string> songs_in(const fs::path& folder, std::string_view layout = "auto",
                                  std::string_view tracks = "stems") {
  std::vector<std::string> lines;
  for (const auto& song : find_songs(folder, layout, tracks).songs) {
    auto line = fmt::format("{}: {}|{}", song.folder, song.artist, song.name);
    for (const auto& track : song.tracks) line += fmt::format(" {}({})", track.track, track.stem);
    if (song.mix) line += " +" + song.mix->track;
    if (song.side) line += fmt::format(" @{}", name_of(*song.side));
    lines.push_back(line);
  }
  return lines;
}

void touch(const fs::path& folder, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    fs::create_directories((folder / name).parent_path());
    write_file_atomically(folder / name, "x");
  }
}

TEST(SongLayouts, EveryRowIsRecognised) {
  const TemporaryFolder folder;
  touch(folder / "hq", {"train/A - One/mixture.wav", "train/A - One/drums.wav", "train/A - One/vocals.wav",
                        "test/B - Two/mixture.wav", "test/B - Two/bass.wav", "test/B - Two/other.wav"});
  EXPECT_EQ(find_songs(folder / "hq", "auto", "stems").layout, "musdb18-hq");
  EXPECT_THAT(songs_in(folder / "hq"), ElementsAre("test/B - Two: B|Two bass(bass) other(other) +mixture @test",
                                                   "train/A - One: A|One drums(drums) vocals(vocals) +mixture @train"));
  touch(folder / "mp4", {"train/A - One.stem.mp4", "test/B - Two.stem.mp4"});
  EXPECT_EQ(find_songs(folder / "mp4", "auto", "stems").layout, "musdb18");
  EXPECT_THAT(songs_in(folder / "mp4").back(),
              "train/A - One: A|One drums(drums) bass(bass) other(other) vocals(vocals) +mixture @train");
  touch(folder / "medley", {"Ana_Sun/Ana_Sun_MIX.wav", "Ana_Sun/Ana_Sun_STEMS/Ana_Sun_STEM_01.wav",
                            "Ana_Sun/Ana_Sun_RAW/Ana_Sun_RAW_01_01.wav", "Ana_Sun/Ana_Sun_RAW/Ana_Sun_RAW_01_02.wav"});
  EXPECT_EQ(find_songs(folder / "medley", "auto", "stems").layout, "medleydb");
  EXPECT_THAT(songs_in(folder / "medley"), ElementsAre("Ana_Sun: Ana|Sun STEM_01() +MIX"));
  EXPECT_THAT(songs_in(folder / "medley", "auto", "raw"), ElementsAre("Ana_Sun: Ana|Sun RAW_01_01() RAW_01_02() +MIX"));
  EXPECT_EQ(find_songs(folder / "medley", "auto", "stems").unused.size(), 2U);
  touch(folder / "mt", {"Song/01_KickIn.wav", "Song/02_Bass DI.wav", "Song/03_LeadVox.wav", "Song/Song_Full_Mix.wav"});
  EXPECT_EQ(find_songs(folder / "mt", "auto", "stems").layout, "cambridge");
  EXPECT_THAT(songs_in(folder / "mt"),
              ElementsAre("Song: |Song 01_KickIn(drums) 02_Bass DI(bass) 03_LeadVox(vocals) +Song_Full_Mix"));
  touch(folder / "plain", {"a/drums.wav", "a/piano.wav", "a/mixture.wav", "b/x.flac"});
  EXPECT_EQ(find_songs(folder / "plain", "auto", "stems").layout, "stems");
  EXPECT_THAT(songs_in(folder / "plain"), ElementsAre("a: |a drums(drums) piano(keys) +mixture", "b: |b x()"));
}

TEST(SongLayouts, EveryFileIsATrackOrSaidToBeNone) {
  const TemporaryFolder folder;
  touch(folder.path(), {"train/A - One/mixture.wav", "train/A - One/drums.wav", "train/A - One/bass.wav",
                        "train/A - One/notes/memo.wav"});
  const auto found = find_songs(folder.path(), "auto", "stems");
  EXPECT_THAT(found.unused, ElementsAre(std::pair<std::string, std::string>("train/A - One/notes/memo.wav",
                                                                            "no track of the layout musdb18-hq")));
  EXPECT_THAT(message_of([&] { (void)find_songs(folder.path(), "medleydb", "stems"); }),
              HasSubstr("holds no song as the layout medleydb has it"));
  EXPECT_THAT(message_of([&] { (void)find_songs(folder.path(), "medlydb", "stems"); }),
              HasSubstr("did you mean 'medleydb'"));
  EXPECT_THAT(message_of([&] { (void)find_songs(folder / "none", "auto", "stems"); }), HasSubstr("there is no folder"));
}

TEST(SongLayouts, StemsAreKnownByTheirWords) {
  const std::map<std::string, std::string> expected{{"01_KickIn", "drums"},     {"BackingVox 2", "vocals"},
                                                    {"bass_DI", "bass"},        {"Bassoon", ""},
                                                    {"Electric Gtr", "guitar"}, {"", ""}};
  for (const auto& [name, stem] : expected) EXPECT_EQ(stem_of(name), stem) << name;
}

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

// Decibels of a spectrogram [bands, frames] that differ from band to band and frame to frame.
std::vector<float> decibels(std::int64_t n_bands, std::int64_t n_frames, float highest) {
  std::vector<float> values;
  for (std::int64_t band = 0; band < n_bands; ++band) {
    for (std::int64_t frame = 0; frame < n_frames; ++frame) {
      values.push_back(highest - 80 * static_cast<float>((band * 37 + frame * 11) % 997) / 996);
    }
  }
  return values;
}

TEST(SongPrepare, SpectrogramsOfLibrosaBecomeFeaturesInEightBits) {
  Studio studio;
  const auto save = [&]<class T>(const std::string& name, const std::vector<T>& values,
                                 std::vector<std::int64_t> shape) {
    fs::create_directories((studio.request.songs / name).parent_path());
    write_npy<T>(studio.request.songs / name, values, shape);
  };
  const auto drums = decibels(128, 90, 0), keys = decibels(128, 40, -12), mix = decibels(128, 90, 3);
  save("one/drums.npy", drums, {128, 90});
  save("one/keys.npy", std::vector<double>(keys.begin(), keys.end()), {1, 128, 40});
  save("one/mixture.npy", mix, {128, 90});
  save("one/narrow.npy", decibels(64, 90, 0), {64, 90});
  save("one/flat.npy", decibels(1, 90, 0), {90});
  auto broken = decibels(128, 5, 0);
  broken[3] = std::numeric_limits<float>::infinity();
  save("one/broken.npy", broken, {128, 5});
  touch(studio.request.songs, {"one/no.npy"});
  for (const auto* name : {"two/bass.npy", "three/bass.npy"})
    save(name, decibels(128, 33, name[1] == 'w' ? 1 : 2), {128, 33});
  const auto report = studio.run();
  EXPECT_EQ(report.layout, "npy");
  EXPECT_EQ(report.exit_code(), 3);
  auto fates = fates_of(report);
  EXPECT_EQ(fates["one/narrow.npy"], "unreadable");
  EXPECT_EQ(fates["one/flat.npy"], "unreadable");
  EXPECT_EQ(fates["one/no.npy"], "unreadable");
  EXPECT_EQ(fates["one/broken.npy"], "non_finite");
  EXPECT_EQ(fates["one/keys.npy"], "kept");
  const auto dataset = studio.dataset();
  ASSERT_EQ(dataset.feature_sets().size(), 1U);
  const auto key = dataset.feature_sets()[0];
  EXPECT_EQ(key.parameters, R"({"source":"npy","bands":128})");
  const auto& song = dataset.songs()[0];
  ASSERT_EQ(song.tracks.size(), 2U);
  const auto rows = dataset.feature_rows(key, song.tracks[0]);
  EXPECT_EQ(rows.n_frames, 90);
  for (std::int64_t frame = 0; frame < 90; ++frame) {
    for (std::int64_t band = 0; band < 128; ++band) {
      EXPECT_NEAR(rows.values[static_cast<std::size_t>(frame * 128 + band)],
                  drums[static_cast<std::size_t>(band * 90 + frame)], 0.16);
    }
  }
  EXPECT_EQ(dataset.feature_rows(key, song.tracks[1]).n_frames, 40);
  EXPECT_EQ(dataset.feature_rows(key, *song.mix).n_frames, 90);
  EXPECT_THAT(message_of([&] { (void)dataset.excerpt(song.tracks[0], 0, 10); }), HasSubstr("is a spectrogram only"));
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
