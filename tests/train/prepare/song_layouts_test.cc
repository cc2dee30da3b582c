// How folders of songs are laid out: which file is which track of which song.
#include "train/prepare/song_layouts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/train/prepare/studio.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;
using testing::touch;

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

TEST(SongLayouts, OfAMixAndItsMasterTheMixIsTaken) {
  const TemporaryFolder folder;
  touch(folder / "one", {"Song/Kick.wav", "Song/Song Master.wav", "Song/Song Mix.wav"});
  touch(folder / "two", {"Song/A Mix.wav", "Song/Kick.wav", "Song/Song Master.wav"});
  EXPECT_THAT(songs_in(folder / "one"), ElementsAre("Song: |Song Kick(drums) +Song Mix"));
  EXPECT_THAT(songs_in(folder / "two"), ElementsAre("Song: |Song Kick(drums) +A Mix"));
  const auto unused = find_songs(folder / "one", "auto", "stems").unused;
  EXPECT_THAT(unused, ElementsAre(std::pair<std::string, std::string>("Song/Song Master.wav",
                                                                      "the song's mix is Song/Song Mix.wav")));
}

TEST(SongLayouts, StemsAreKnownByTheirWords) {
  const std::map<std::string, std::string> expected{{"01_KickIn", "drums"},     {"BackingVox 2", "vocals"},
                                                    {"bass_DI", "bass"},        {"Bassoon", ""},
                                                    {"Electric Gtr", "guitar"}, {"", ""}};
  for (const auto& [name, stem] : expected) EXPECT_EQ(stem_of(name), stem) << name;
}

}  // namespace
}  // namespace melisma
