// Making datasets: a new file written in one go, or one more feature set beside those an old file has.
#pragma once
#include <functional>
#include <memory>
#include <span>

#include "data/sets/dataset.h"
#include "tools/base/hash.h"

namespace melisma {

enum class WaveStorage { int16, float32 };

[[nodiscard]] std::string_view name_of(WaveStorage storage);
// Throws Error(config) with did-you-mean.
[[nodiscard]] WaveStorage wave_storage_named(std::string_view name);

// A sample as int16 storage keeps it: rounded to 1/32768, limited to [-1, 32767/32768].
[[nodiscard]] std::int16_t to_int16(float sample);

// Samples as storage keeps them, byte by byte.
[[nodiscard]] std::vector<std::byte> stored_bytes(std::span<const float> samples, WaveStorage storage);

// Everything about a dataset but its samples and features. Of each clip the caller fills recording, recording_offset,
// speaker, length and split; index, offset and hash are the writer's. A plan with songs makes a multitrack dataset and
// has neither speakers nor clips; of its tracks, too, index, offset and hash are the writer's.
struct DatasetPlan {
  std::int64_t sample_rate_hz = 0;
  std::string parameters;    // canonical JSON of what prepare was asked
  std::string tool_version;  // "0.1.0"
  WaveStorage storage = WaveStorage::int16;
  std::vector<std::string> speakers;
  std::vector<Clip> clips;
  std::vector<RecordingRow> recordings;
  std::vector<Song> songs;
};

// How the values of a feature set are kept. In eight bits each clip or track has 256 even steps from its smallest value
// to its largest: the error is half a step, for decibels over a range of 120 dB less than 0.24 dB, and the file records
// the largest that there was.
enum class FeatureStorage { float32, eight_bit };

// A feature set of known size: frames[i] frames of `width` values for clip (or track) i, stored as one row for each
// `frames_a_row` of them (the last one may stand for fewer).
struct FeaturePlan {
  FeatureKey key;
  std::int64_t width = 0;
  std::vector<std::int64_t> frames;
  std::int64_t frames_a_row = 1;
  FeatureStorage storage = FeatureStorage::float32;
};
[[nodiscard]] constexpr std::int64_t n_feature_rows(std::int64_t n_frames, std::int64_t frames_a_row) {
  return (n_frames + frames_a_row - 1) / frames_a_row;
}

// Fills the arrays of a file under way; clips or tracks in any order, each once. Not thread-safe.
class DatasetWriter {
 public:
  // samples: mono, exactly the clip's length.
  void write_wave(std::int64_t clip, std::span<const float> samples);
  // The next frames of a track, [its channels][any number]; the blocks of one track follow each other, and together
  // they are exactly its length. How they are cut does not matter.
  void write_track(const Track& track, const Waveform& block);
  void begin_features(const FeaturePlan& plan);
  // values: [rows of the clip or track][width], row-major. Throws Error(internal) for values that are not finite where
  // they are kept in eight bits.
  void write_features(const FeatureKey& key, std::int64_t item, std::span<const float> values);

 private:
  friend void write_dataset(const std::filesystem::path&, DatasetPlan, const std::function<void(DatasetWriter&)>&);
  friend void add_features(const std::filesystem::path&, std::int64_t, const std::function<FeatureMatrix(const Clip&)>&,
                           const FeatureKey&, std::int64_t);
  friend void extend_dataset(const std::filesystem::path&, const std::function<void(DatasetWriter&)>&);
  struct State;
  explicit DatasetWriter(State& state) : state_(&state) {}
  State* state_;
};

// Gives songs and tracks their rows in /songs and /tracks, and tracks their places in /wave; returns the samples in
// all. write_dataset() does this itself: for callers who need the rows before they fill.
std::int64_t number_songs(std::vector<Song>& songs);

// The hash of a track whose channels these hashers were given as they are stored.
[[nodiscard]] std::string track_hash(std::span<const ContentHasher> channels);

// Every track of the songs, mixes included, in the order of /tracks.
[[nodiscard]] std::vector<Track*> tracks_of(std::vector<Song>& songs);

// Writes `path` under a temporary name, calls fill(writer), adds hashes and splits, fsyncs and renames: `path` is the
// old file or the whole new one. Equal content gives equal bytes. Throws Error(device) if the disk refuses.
void write_dataset(const std::filesystem::path& path, DatasetPlan plan,
                   const std::function<void(DatasetWriter&)>& fill);

// Adds feature sets to an existing dataset of either kind: fill(writer) begins and writes them on a copy that then
// replaces the file; the ledger stays, nothing is lost by a kill, readers keep the file they opened.
void extend_dataset(const std::filesystem::path& path, const std::function<void(DatasetWriter&)>& fill);

// Adds the feature set `key` ([rows][width], one row for `frames_a_row` frames) to an existing dataset: compute(clip)
// is called for each clip in order on a copy that then replaces the file; nothing is lost by a kill, readers keep the
// file they opened. A set that is already there is left alone. Throws Error(internal) if a clip's rows are not those of
// n_feature_frames().
void add_features(const std::filesystem::path& path, std::int64_t width,
                  const std::function<FeatureMatrix(const Clip&)>& compute, const FeatureKey& key,
                  std::int64_t frames_a_row = 1);

}  // namespace melisma
