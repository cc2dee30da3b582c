// Folders of songs in tracks become a multitrack dataset: find, convert, recognise copies, split, write, report.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "tools/base/event.h"
#include "train/prepare/song_config.h"
#include "train/prepare/song_features.h"

namespace melisma {

struct SongRequest {
  std::filesystem::path songs;
  std::filesystem::path dataset;  // <workspace>/datasets/<name>.h5
  std::filesystem::path cache;    // <workspace>/cache/prepare: parts that a second run takes up again
  std::optional<std::filesystem::path> split_list;
  std::string tool_version;
  int threads = 0;     // 0 = all processors this process may use
  bool force = false;  // replace a dataset of other content
  SongConfig config;
};

struct SongSummary {
  std::string folder, name, artist;
  std::string split;  // empty if the song was left out
  std::string note;   // what a person should know of it, or why it was left out
  std::int64_t n_tracks = 0, n_lost = 0;
  bool has_mix = false;
  double seconds = 0;
};

struct SongReport {
  std::filesystem::path dataset;
  std::string layout, content_hash, split_hash;
  std::int64_t sample_rate_hz = 0;
  std::vector<RecordingRow> files;  // every audio file and its fate, by name; `speaker` is the song's folder
  std::vector<SongSummary> songs;
  std::int64_t n_parts_reused = 0;
  std::string outcome;  // "written", "features added", "already complete", "nothing usable"

  // 0, or 3 if a file could not be read or no song is left.
  [[nodiscard]] int exit_code() const;
};

// Makes `request.dataset`, with the features that `makers` make of its tracks. Of a song every track that is of use is
// kept; a song without one is left out, and one whose kept tracks are those of an earlier song as well. Results do not
// depend on the number of threads. Throws Error: data (missing folder, no songs), usage (another dataset of that name
// and no force), config (settings, split list), device (disk), interrupted (after a signal; the same command
// continues).
SongReport prepare_songs(const SongRequest& request, std::span<const SongFeatureMaker> makers, EventSink& events);

struct SongOptions {
  SongRequest request;
  bool json = false;
};

// The same with the progress on stderr and the outcome on stdout (JSON if asked); returns the exit code.
int prepare_songs_and_report(const SongOptions& options, std::span<const SongFeatureMaker> makers);

}  // namespace melisma
