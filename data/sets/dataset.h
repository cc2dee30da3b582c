// A dataset: one HDF5 file with clips cut from recordings of voices, or with songs in tracks; features and splits.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/audio/waveform.h"

namespace melisma {

// What a dataset holds: clips of speakers, or songs in tracks. Everything else about the two is the same.
enum class DatasetKind { voice, multitrack };

[[nodiscard]] std::string_view name_of(DatasetKind kind);

enum class Split { train, validation, test };

[[nodiscard]] std::string_view name_of(Split split);
// Throws Error(usage) with did-you-mean for anything but "train", "validation", "test".
[[nodiscard]] Split split_named(std::string_view name);

// One slice of a recording. `offset` and `length` are frames of /wave at the dataset's rate.
struct Clip {
  std::int64_t index = 0;             // row in /clips
  std::string recording = {};         // path of the source file relative to the folder given to prepare
  std::int64_t recording_offset = 0;  // first sample in the (resampled) recording
  std::int64_t speaker = 0;           // row in speakers()
  std::int64_t offset = 0, length = 0;
  std::string hash = {};  // content hash of the samples
  Split split = Split::train;
};

// One track of a song, or its finished mix. Times are frames at the dataset's rate.
struct Track {
  std::int64_t index = 0;       // row in /tracks
  std::string name = {};        // as its file is called: "Kick In"
  std::string stem = {};        // kind of instrument in lower case: "drums", "vocals"; empty if unknown
  std::string recording = {};   // path of the source file relative to the folder given to prepare
  std::int64_t n_channels = 1;  // 1 or 2
  std::int64_t start = 0;       // frames after the beginning of the song
  std::int64_t length = 0;      // frames of each channel; 0 = only features of it are kept
  std::int64_t offset = 0;      // first sample in /wave: all of the left channel, then all of the right one
  std::string hash = {};        // content hash of the samples
};

// Tracks that belong together. All of a song is on one side of the split.
struct Song {
  std::int64_t index = 0;              // row in /songs
  std::string name = {}, artist = {};  // artist: empty if unknown
  Split split = Split::train;
  std::vector<Track> tracks = {};  // at least one, in the order of their names
  std::optional<Track> mix = {};   // what a person made of them, if it is known

  // Frames from the beginning to the end of the last track (the mix not counted).
  [[nodiscard]] std::int64_t length() const;
};

// What features were made of: kind ("pitch", "content"), the parameters as canonical JSON, and their hash (the HDF5
// group name).
struct FeatureKey {
  std::string kind;
  std::string parameters;
  [[nodiscard]] std::string parameter_hash() const;  // first 16 hex digits of the content hash of kind + parameters
};

// One clip's features: row-major float values [frames][width].
struct FeatureMatrix {
  std::vector<float> values;
  std::int64_t n_frames = 0, width = 0;
};

// Features of every kind have this many frames a second; a clip has floor(length * 100 / rate) of them. Slower ones are
// stored a row for several frames, and read with each row repeated.
inline constexpr std::int64_t kFeatureFramesPerSecond = 100;
[[nodiscard]] constexpr std::int64_t n_feature_frames(std::int64_t length, std::int64_t sample_rate_hz) {
  return length * kFeatureFramesPerSecond / sample_rate_hz;
}

// Each row `frames_a_row` times, n_frames in all; the last row is held where there are too few.
[[nodiscard]] FeatureMatrix repeat_rows(const FeatureMatrix& rows, std::int64_t frames_a_row, std::int64_t n_frames);

// One file that prepare was given, whatever became of it.
struct RecordingRow {
  std::string path, speaker;
  std::string fate;    // "kept", "silent", "too-short", ...: data/audio/fate.h
  std::string detail;  // the reason for a person; empty if kept
  double seconds = 0, kept_seconds = 0;
  std::int64_t n_clips = 0;
  std::int64_t duplicate_group = -1;  // equal for recordings that hold the same sound; -1 = alone
  std::string split;                  // empty if nothing of it was kept
};

// One opening of the test split.
struct LedgerEntry {
  std::string time_utc, command, model_hash;
};

// Read access; thread-safe: one object serves all threads (HDF5 reads one after the other). Every failure is an
// Error(data) that names the file and what is missing in it.
class Dataset {
 public:
  // A dataset of the kind that is needed; Error(data) that says how to make one if the file holds the other kind.
  static Dataset open(const std::filesystem::path& path, DatasetKind wanted = DatasetKind::voice);
  // A dataset of either kind.
  static Dataset open_any(const std::filesystem::path& path);
  Dataset(Dataset&&) noexcept;
  Dataset& operator=(Dataset&&) noexcept;
  ~Dataset();

  [[nodiscard]] const std::filesystem::path& path() const;
  [[nodiscard]] DatasetKind kind() const;
  [[nodiscard]] std::int64_t sample_rate_hz() const;
  [[nodiscard]] const std::vector<std::string>& speakers() const;
  [[nodiscard]] const std::vector<Clip>& clips() const;
  [[nodiscard]] std::vector<Clip> clips_of(Split split) const;
  [[nodiscard]] const std::string& content_hash() const;  // of clips, splits and parameters
  [[nodiscard]] const std::string& split_hash() const;
  [[nodiscard]] const std::string& parameters() const;  // canonical JSON of what prepare was asked
  [[nodiscard]] const std::string& tool_version() const;
  [[nodiscard]] const std::vector<RecordingRow>& recordings() const;

  // Samples of a clip, or of part of it, mono in [-1, 1].
  [[nodiscard]] std::vector<float> wave(const Clip& clip) const;
  [[nodiscard]] std::vector<float> wave(const Clip& clip, std::int64_t first, std::int64_t count) const;

  // Of a multitrack dataset (no songs in the other kind).
  [[nodiscard]] const std::vector<Song>& songs() const;
  [[nodiscard]] std::vector<Song> songs_of(Split split) const;
  // Frames [first, first + count) of the song's time, [n_channels of the track][count] in [-1, 1]; zeros before the
  // track's start and past its end, so that excerpts of all tracks of a song line up.
  [[nodiscard]] Waveform excerpt(const Track& track, std::int64_t first, std::int64_t count) const;
  // The same of every track of the song, in their order.
  [[nodiscard]] std::vector<Waveform> excerpts(const Song& song, std::int64_t first, std::int64_t count) const;

  // The feature sets stored here, and one clip's rows of one of them.
  [[nodiscard]] std::vector<FeatureKey> feature_sets() const;
  [[nodiscard]] bool has_features(const FeatureKey& key) const;
  [[nodiscard]] std::int64_t feature_width(const FeatureKey& key) const;
  [[nodiscard]] FeatureMatrix features(const FeatureKey& key, const Clip& clip) const;
  // The same without repetition: each row once, however many frames it stands for.
  [[nodiscard]] FeatureMatrix feature_rows(const FeatureKey& key, const Clip& clip) const;
  [[nodiscard]] FeatureMatrix feature_rows(const FeatureKey& key, const Track& track) const;

  // The openings of the test split so far, and one more (the only write an opened dataset allows).
  [[nodiscard]] std::vector<LedgerEntry> ledger() const;
  void record_test_opening(const LedgerEntry& entry);

 private:
  struct State;
  explicit Dataset(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace melisma
