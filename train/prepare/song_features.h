// Features of tracks: what a maker is, and the rows of all tracks in order, made on all threads.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "data/sets/dataset_writer.h"
#include "train/prepare/part.h"

namespace melisma {

// The features of one track, whose samples come in blocks.
class TrackFeatures {
 public:
  virtual ~TrackFeatures() = default;
  // mono: the mean of the channels, at the dataset's rate.
  virtual void push(std::span<const float> mono) = 0;
  // Rows [n_rows][width].
  [[nodiscard]] virtual std::vector<float> finish() = 0;
};

// One feature set of a dataset's tracks. This room includes no Torch: whoever calls prepare_songs() brings it.
struct SongFeatureMaker {
  FeatureKey key;
  std::int64_t width = 0;
  FeatureStorage storage = FeatureStorage::float32;
  std::function<std::int64_t(std::int64_t length)> n_rows;  // of a track of so many frames
  std::function<std::unique_ptr<TrackFeatures>()> start;    // called from several threads
};

// A converted track.
struct PreparedTrack {
  const Part* part = nullptr;
  std::filesystem::path path;  // of the part
};

// Adds the set of `maker` to a dataset under way, whose tracks these are; memory holds the rows of `threads` tracks.
// Throws Error(interrupted) when a stop is requested.
void write_song_features(DatasetWriter& writer, std::span<const PreparedTrack> tracks, const SongFeatureMaker& maker,
                         WaveStorage storage, int threads);

}  // namespace melisma
