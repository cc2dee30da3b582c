#include "train/prepare/song_layouts.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "data/audio/audio_file.h"
#include "tools/base/error.h"
#include "tools/base/table.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

constexpr std::array kMusdbStems{std::string_view("drums"), std::string_view("bass"), std::string_view("other"),
                                 std::string_view("vocals")};
constexpr std::string_view kMusdbMix = "mixture";

struct StemWord {
  std::string_view word, stem;
};
constexpr std::array kStemWords{
    StemWord{"drums", "drums"},     StemWord{"drum", "drums"},       StemWord{"kick", "drums"},
    StemWord{"snare", "drums"},     StemWord{"hat", "drums"},        StemWord{"hats", "drums"},
    StemWord{"hihat", "drums"},     StemWord{"tom", "drums"},        StemWord{"toms", "drums"},
    StemWord{"overhead", "drums"},  StemWord{"overheads", "drums"},  StemWord{"cymbal", "drums"},
    StemWord{"cymbals", "drums"},   StemWord{"percussion", "drums"}, StemWord{"perc", "drums"},
    StemWord{"bass", "bass"},       StemWord{"vocals", "vocals"},    StemWord{"vocal", "vocals"},
    StemWord{"vox", "vocals"},      StemWord{"voice", "vocals"},     StemWord{"singer", "vocals"},
    StemWord{"choir", "vocals"},    StemWord{"guitar", "guitar"},    StemWord{"guitars", "guitar"},
    StemWord{"gtr", "guitar"},      StemWord{"piano", "keys"},       StemWord{"keys", "keys"},
    StemWord{"organ", "keys"},      StemWord{"rhodes", "keys"},      StemWord{"synth", "keys"},
    StemWord{"strings", "strings"}, StemWord{"violin", "strings"},   StemWord{"viola", "strings"},
    StemWord{"cello", "strings"},   StemWord{"trumpet", "winds"},    StemWord{"sax", "winds"},
    StemWord{"saxophone", "winds"}, StemWord{"flute", "winds"},      StemWord{"trombone", "winds"},
    StemWord{"brass", "winds"},     StemWord{"other", "other"},
};

std::string lower(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(), [](unsigned char c) { return std::tolower(c); });
  return made;
}

// The words of a name in lower case: "01_LeadVox2 take-b" is "lead", "vox", "take", "b".
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  bool was_lower = false;
  for (const char character : name) {
    const auto c = static_cast<unsigned char>(character);
    const bool starts_word = std::isupper(c) != 0 && was_lower;
    if ((std::isalpha(c) == 0 || starts_word) && !words.back().empty()) words.emplace_back();
    if (std::isalpha(c) != 0) words.back() += static_cast<char>(std::tolower(c));
    was_lower = std::islower(c) != 0;
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

// A file that people call the mix: the last word says so.
bool is_called_mix(std::string_view name) {
  const auto words = words_of(name);
  if (words.empty()) return false;
  constexpr std::array kMixWords{std::string_view("mix"), std::string_view("mixture"), std::string_view("mixdown"),
                                 std::string_view("master"), std::string_view("mastered")};
  return std::find(kMixWords.begin(), kMixWords.end(), words.back()) != kMixWords.end();
}

bool is_called_master(std::string_view name) {
  const auto words = words_of(name);
  return !words.empty() && words.back().starts_with("master");
}

std::string stem_name(const std::string& file) { return fs::path(file).stem().string(); }

// The folder of a file below the folder given; "." for the folder itself.
std::string folder_of(std::span<const std::string> names) {
  fs::path folder;
  for (const auto& name : names.first(names.size() - 1)) folder /= name;
  return folder.empty() ? "." : folder.generic_string();
}

// "Artist - Title"; without the dash all of it is the title.
void set_names(TrackPlace& place, const std::string& folder) {
  const auto dash = folder.find(" - ");
  place.artist = dash == std::string::npos ? "" : folder.substr(0, dash);
  place.name = dash == std::string::npos ? folder : folder.substr(dash + 3);
}

std::optional<Split> musdb_side(const std::string& folder) {
  if (folder == "train") return Split::train;
  if (folder == "test") return Split::test;
  return std::nullopt;
}

// train|test/Artist - Title/{mixture,drums,bass,other,vocals}.wav
std::vector<TrackPlace> musdb_hq_places(std::span<const std::string> names, std::string_view) {
  if (names.size() < 3) return {};
  const auto side = musdb_side(names[names.size() - 3]);
  const auto track = lower(stem_name(names.back()));
  const bool is_stem = std::find(kMusdbStems.begin(), kMusdbStems.end(), track) != kMusdbStems.end();
  if (!side || !(is_stem || track == kMusdbMix)) return {};
  TrackPlace place{
      .folder = folder_of(names), .track = track, .stem = is_stem ? track : "", .is_mix = !is_stem, .side = side};
  set_names(place, names[names.size() - 2]);
  return {place};
}

// [train|test/]Artist - Title.stem.mp4 with the streams mixture, drums, bass, other, vocals
std::vector<TrackPlace> musdb_places(std::span<const std::string> names, std::string_view) {
  constexpr std::string_view kEnding = ".stem.mp4";
  const auto& file = names.back();
  if (!lower(file).ends_with(kEnding)) return {};
  const auto song = file.substr(0, file.size() - kEnding.size());
  TrackPlace place{.side = names.size() >= 2 ? musdb_side(names[names.size() - 2]) : std::nullopt};
  const auto folder = folder_of(names);
  place.folder = (folder == "." ? "" : folder + "/") + song;
  set_names(place, song);
  std::vector<TrackPlace> places;
  for (int stream = 0; stream <= static_cast<int>(kMusdbStems.size()); ++stream) {
    place.stream = stream;
    place.is_mix = stream == 0;
    place.track = stream == 0 ? kMusdbMix : kMusdbStems[static_cast<std::size_t>(stream - 1)];
    place.stem = stream == 0 ? "" : place.track;
    places.push_back(place);
  }
  return places;
}

// Artist_Title/Artist_Title_MIX.wav, Artist_Title_STEMS/…_STEM_01.wav, Artist_Title_RAW/…_RAW_01_01.wav
std::vector<TrackPlace> medleydb_places(std::span<const std::string> names, std::string_view tracks) {
  if (names.size() < 2) return {};
  const auto file = stem_name(names.back());
  const auto& folder = names[names.size() - 2];
  const auto song_in = [&](std::string_view ending) {
    return folder.ends_with(ending) ? folder.substr(0, folder.size() - ending.size()) : std::string();
  };
  TrackPlace place;
  std::string song;
  if (file.ends_with("_MIX") && file.substr(0, file.size() - 4) == folder) {
    song = folder;
    place.folder = folder_of(names);
    place.is_mix = true;
  } else {
    const bool is_stem = folder.ends_with("_STEMS");
    song = is_stem ? song_in("_STEMS") : song_in("_RAW");
    if (song.empty() || names.size() < 3 || names[names.size() - 3] != song) return {};
    place.folder = folder_of(names.first(names.size() - 1));
    if (is_stem != (tracks == "stems")) place.unused_for = fmt::format("the song's {} are used", tracks);
  }
  const auto bar = song.find('_');
  place.artist = bar == std::string::npos ? "" : song.substr(0, bar);
  place.name = bar == std::string::npos ? song : song.substr(bar + 1);
  place.track = file.starts_with(song + "_") ? file.substr(song.size() + 1) : file;
  return {place};
}

// A track of a folder that is a song.
TrackPlace place_in_folder(std::span<const std::string> names) {
  TrackPlace place{.folder = folder_of(names), .track = stem_name(names.back())};
  set_names(place, names.size() >= 2 ? names[names.size() - 2] : "");
  place.is_mix = is_called_mix(place.track);
  if (!place.is_mix) place.stem = stem_of(place.track);
  return place;
}

// Song/01_Kick.wav, Song/02_Snare.wav, …; a file without a number is the mix if it is called so.
std::vector<TrackPlace> cambridge_places(std::span<const std::string> names, std::string_view) {
  auto place = place_in_folder(names);
  const auto& file = names.back();
  const bool is_numbered = file.size() > 2 && std::isdigit(static_cast<unsigned char>(file[0])) != 0 &&
                           std::isdigit(static_cast<unsigned char>(file[1])) != 0;
  if (!is_numbered && !place.is_mix) return {};
  if (is_numbered) {
    place.is_mix = false;
    place.stem = stem_of(place.track);
  }
  return {place};
}

std::vector<TrackPlace> stems_places(std::span<const std::string> names, std::string_view) {
  return {place_in_folder(names)};
}

constexpr std::array kLayouts{
    SongLayout{"musdb18-hq", "train|test/Artist - Title/{mixture,drums,bass,other,vocals}.wav", musdb_hq_places},
    SongLayout{"musdb18", "Artist - Title.stem.mp4 with five streams (needs ffmpeg)", musdb_places},
    SongLayout{"medleydb", "Artist_Title/ with Artist_Title_MIX.wav, _STEMS/ and _RAW/", medleydb_places},
    SongLayout{"cambridge", "a folder a song, tracks numbered 01_Kick.wav, and perhaps a mix", cambridge_places},
    SongLayout{"stems", "a folder a song, a file a track; one called mix, mixture or master is the mix", stems_places},
    SongLayout{kSpectrogramLayout, "a folder a song, a track a spectrogram [bands, frames] as .npy", stems_places},
};

struct FoundFile {
  fs::path path;
  std::string name;                // relative, with '/'
  std::vector<std::string> names;  // on the way to it
};

std::vector<fs::path> find_spectrograms(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied)) {
    if (entry.is_regular_file() && lower(entry.path().extension().string()) == ".npy") found.push_back(entry.path());
  }
  return found;
}

// Sound files, or spectrograms where they are asked for or there is nothing else.
std::vector<FoundFile> list_files(const fs::path& folder, std::string_view& layout) {
  auto paths = layout == kSpectrogramLayout ? find_spectrograms(folder) : find_audio_files(folder);
  if (paths.empty() && layout == "auto") {
    paths = find_spectrograms(folder);
    if (!paths.empty()) layout = kSpectrogramLayout;
  }
  std::vector<FoundFile> files;
  for (const auto& path : paths) {
    const auto relative = path.lexically_relative(folder);
    FoundFile file{path, relative.generic_string(), {}};
    for (const auto& part : relative) file.names.push_back(part.string());
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const FoundFile& a, const FoundFile& b) { return a.name < b.name; });
  return files;
}

// The first layout in which more files are tracks than are neither track nor mix.
const SongLayout& recognised(const std::vector<FoundFile>& files, std::string_view tracks) {
  for (const auto& layout : kLayouts) {
    std::int64_t n_tracks = 0, n_others = 0;
    for (const auto& file : files) {
      const auto places = layout.places(file.names, tracks);
      n_others += places.empty() ? 1 : 0;
      n_tracks +=
          std::any_of(places.begin(), places.end(), [](const TrackPlace& place) { return !place.is_mix; }) ? 1 : 0;
    }
    if (n_tracks > n_others) return layout;
  }
  return find_row(kLayouts, "stems", "layout");
}

void add_place(const FoundFile& file, const TrackPlace& place, std::map<std::string, SongSource>& songs,
               SongSources& sources) {
  auto& song = songs[place.folder];
  song.folder = place.folder;
  song.name = place.name;
  song.artist = place.artist;
  song.side = place.side;
  TrackSource track{file.path, file.name, place.track, place.stem, place.stream};
  if (place.stream >= 0) track.name += fmt::format("#{}", place.stream);
  if (!place.unused_for.empty()) {
    sources.unused.emplace_back(file.name, place.unused_for);
  } else if (!place.is_mix) {
    song.tracks.push_back(std::move(track));
  } else {
    // Of a mix and its master the mix is what was made of the tracks.
    if (song.mix && is_called_master(song.mix->track) && !is_called_master(track.track)) std::swap(*song.mix, track);
    if (song.mix) {
      sources.unused.emplace_back(track.name, fmt::format("the song's mix is {}", song.mix->name));
    } else {
      song.mix = std::move(track);
    }
  }
}

}  // namespace

std::span<const SongLayout> song_layouts() { return kLayouts; }

std::string stem_of(std::string_view track) {
  for (const auto& word : words_of(track)) {
    const auto* row =
        std::find_if(kStemWords.begin(), kStemWords.end(), [&](const StemWord& known) { return known.word == word; });
    if (row != kStemWords.end()) return std::string(row->stem);
  }
  return "";
}

SongSources find_songs(const fs::path& folder, std::string_view layout, std::string_view tracks) {
  if (!fs::is_directory(folder)) {
    fail(ErrorKind::data, "there is no folder '{}'; give the folder that holds the songs, one sub-folder a song",
         folder.string());
  }
  const auto files = list_files(folder, layout);
  if (files.empty()) {
    fail(ErrorKind::data, "'{}' holds no tracks; files with these endings are read: {} (or .npy, spectrograms)",
         folder.string(), known_audio_extensions());
  }
  const auto& row = layout == "auto" ? recognised(files, tracks) : find_row(kLayouts, layout, "layout");
  SongSources sources{row.name, {}, {}};
  std::map<std::string, SongSource> songs;
  for (const auto& file : files) {
    const auto places = row.places(file.names, tracks);
    if (places.empty()) sources.unused.emplace_back(file.name, fmt::format("no track of the layout {}", row.name));
    for (const auto& place : places) add_place(file, place, songs, sources);
  }
  for (auto& [name, song] : songs) {
    if (song.name.empty()) song.name = fs::weakly_canonical(folder).filename().string();
    if (!song.tracks.empty()) {
      sources.songs.push_back(std::move(song));
    } else if (song.mix) {
      sources.unused.emplace_back(song.mix->name, "a mix without tracks");
    }
  }
  if (sources.songs.empty()) {
    fail(ErrorKind::data, "'{}' holds no song as the layout {} has it ({}); name another --layout", folder.string(),
         row.name, row.summary);
  }
  return sources;
}

}  // namespace melisma
