// How folders of songs in tracks are laid out: one row a corpus or habit; which file is which track of which song.
#pragma once
#include <array>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/sets/dataset.h"

namespace melisma {

// One file (or one stream of it) that is a track.
struct TrackSource {
  std::filesystem::path path;
  std::string name;   // relative to the folder, with '/'; "#2" behind it for a stream
  std::string track;  // "Kick In"
  std::string stem;   // kind of instrument, empty if the name does not tell
  int stream = -1;    // audio stream of a file with several; -1 = the file's only one
};

struct SongSource {
  std::string folder;  // relative to the folder given, with '/': what a split list calls the song
  std::string name, artist;
  std::optional<Split> side;  // where the corpus itself puts it
  std::vector<TrackSource> tracks;
  std::optional<TrackSource> mix;
};

struct SongSources {
  std::string_view layout;
  std::vector<SongSource> songs;                            // by folder
  std::vector<std::pair<std::string, std::string>> unused;  // audio files that are no track, and why
};

// What a layout makes of one audio file.
struct TrackPlace {
  std::string folder, name, artist;  // of the song
  std::string track, stem;
  bool is_mix = false;
  std::optional<Split> side = {};
  int stream = -1;
  std::string unused_for = {};  // why the file is not taken although it belongs to the song
};

struct SongLayout {
  std::string_view name, summary;
  // The places of a file, given the names on the way to it below the folder; none = not part of this layout.
  // `tracks` = "stems" or "raw", for corpora that have both.
  std::vector<TrackPlace> (*places)(std::span<const std::string> names, std::string_view tracks);
};

// Tried in this order; "stems" takes any folder of sound files for a song, kSpectrogramLayout is for folders without
// sound, of .npy files.
[[nodiscard]] std::span<const SongLayout> song_layouts();
inline constexpr std::string_view kSpectrogramLayout = "npy";
inline constexpr std::array kSongLayoutNames{std::string_view("auto"),
                                             std::string_view("musdb18-hq"),
                                             std::string_view("musdb18"),
                                             std::string_view("medleydb"),
                                             std::string_view("cambridge"),
                                             std::string_view("stems"),
                                             kSpectrogramLayout};
inline constexpr std::array kTrackChoiceNames{std::string_view("stems"), std::string_view("raw")};

// The songs below `folder`, laid out as the row `layout` says ("auto": the first row in which most of the audio files
// are tracks). Every audio file is a track, a mix or among the unused. Throws Error(data) for a missing folder or one
// without songs, Error(config) for an unknown layout.
[[nodiscard]] SongSources find_songs(const std::filesystem::path& folder, std::string_view layout,
                                     std::string_view tracks);

// "drums", "bass", "vocals", "guitar", "keys", "strings", "winds" or "other", as the words of a track's name say;
// empty if none does.
[[nodiscard]] std::string stem_of(std::string_view track);

}  // namespace melisma
