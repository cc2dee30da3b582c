#include <algorithm>
#include <iterator>

#include "data/sets/dataset_state.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

// Songs without their tracks.
std::vector<Song> read_song_rows(const Hdf5File& file) {
  const DatasetColumns columns{file, "/songs/"};
  const auto name = columns.texts("name"), artist = columns.texts("artist"), split = columns.texts("split");
  columns.check(name.size(), {artist.size(), split.size()});
  std::vector<Song> songs;
  for (std::size_t i = 0; i < name.size(); ++i) {
    songs.push_back(
        {.index = static_cast<std::int64_t>(i), .name = name[i], .artist = artist[i], .split = split_named(split[i])});
  }
  return songs;
}

std::vector<Track> read_tracks(const Hdf5File& file) {
  const DatasetColumns columns{file, "/tracks/"};
  const auto name = columns.texts("name"), stem = columns.texts("stem"), recording = columns.texts("recording");
  const auto hash = columns.texts("hash");
  const auto channels = columns.integers("channels"), start = columns.integers("start");
  const auto length = columns.integers("length"), offset = columns.integers("offset");
  columns.check(name.size(), {stem.size(), recording.size(), hash.size(), channels.size(), start.size(), length.size(),
                              offset.size()});
  std::vector<Track> tracks;
  for (std::size_t i = 0; i < name.size(); ++i) {
    tracks.push_back({static_cast<std::int64_t>(i), name[i], stem[i], recording[i], channels[i], start[i], length[i],
                      offset[i], hash[i]});
  }
  return tracks;
}

void check_track(const Hdf5File& file, const Track& track, std::int64_t n_samples) {
  const bool is_sound = (track.n_channels == 1 || track.n_channels == 2) && track.length >= 0 && track.start >= 0;
  if (is_sound && track.offset >= 0 && track.length <= n_samples / track.n_channels &&
      track.offset <= n_samples - track.length * track.n_channels) {
    return;
  }
  fail(ErrorKind::data, "track {} of '{}' is {} frames of {} channels from sample {} on, but the file has {} samples",
       track.index, file.path().string(), track.length, track.n_channels, track.offset, n_samples);
}

}  // namespace

std::int64_t Song::length() const {
  std::int64_t end = 0;
  for (const auto& track : tracks) end = std::max(end, track.start + track.length);
  return end;
}

void Dataset::State::read_songs() {
  songs = read_song_rows(file);
  auto tracks = read_tracks(file);
  n_tracks = std::ssize(tracks);
  const DatasetColumns columns{file, "/tracks/"};
  const auto song = columns.integers("song"), is_mix = columns.integers("is_mix");
  columns.check(tracks.size(), {song.size(), is_mix.size()});
  const auto n_samples = file.describe("/wave").count();
  for (std::size_t i = 0; i < tracks.size(); ++i) {
    check_track(file, tracks[i], n_samples);
    if (song[i] < 0 || song[i] >= std::ssize(songs)) {
      fail(ErrorKind::data, "track {} of '{}' belongs to song {}, but there are {}", i, file.path().string(), song[i],
           songs.size());
    }
    auto& owner = songs[static_cast<std::size_t>(song[i])];
    if (is_mix[i] != 0) {
      owner.mix = std::move(tracks[i]);
    } else {
      owner.tracks.push_back(std::move(tracks[i]));
    }
  }
}

const std::vector<Song>& Dataset::songs() const { return state_->songs; }

std::vector<Song> Dataset::songs_of(Split split) const {
  std::vector<Song> found;
  std::copy_if(state_->songs.begin(), state_->songs.end(), std::back_inserter(found),
               [split](const Song& song) { return song.split == split; });
  return found;
}

Waveform Dataset::excerpt(const Track& track, std::int64_t first, std::int64_t count) const {
  if (track.length == 0) {
    fail(ErrorKind::data, "track '{}' of '{}' is a spectrogram only; this needs a dataset made from sound", track.name,
         path().string());
  }
  Waveform made{std::vector<float>(static_cast<std::size_t>(std::max<std::int64_t>(count, 0) * track.n_channels), 0.0F),
                track.n_channels, sample_rate_hz()};
  const auto begin = std::max(first, track.start), end = std::min(first + count, track.start + track.length);
  if (begin >= end) return made;
  for (std::int64_t c = 0; c < track.n_channels; ++c) {
    const auto samples = state_->samples(track.offset + c * track.length + begin - track.start, end - begin);
    std::copy(samples.begin(), samples.end(), made.channel(c).begin() + (begin - first));
  }
  return made;
}

std::vector<Waveform> Dataset::excerpts(const Song& song, std::int64_t first, std::int64_t count) const {
  std::vector<Waveform> made;
  for (const auto& track : song.tracks) made.push_back(excerpt(track, first, count));
  return made;
}

FeatureMatrix Dataset::feature_rows(const FeatureKey& key, const Track& track) const {
  return state_->rows_of(key, track.index);
}

}  // namespace melisma
