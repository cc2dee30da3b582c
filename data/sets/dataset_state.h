// What an open dataset is inside; only for the .cc files of this folder.
#pragma once
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "data/sets/hdf5_file.h"

namespace melisma {

// Where the rows of each clip, or track, are in a feature set.
struct FeatureIndex {
  std::vector<std::int64_t> offsets, rows;
  std::int64_t width = 0, frames_a_row = 1;
  std::vector<double> lowest, step;  // of each, where they are kept in eight bits; empty otherwise
};

struct Dataset::State {
  Hdf5File file;
  DatasetKind kind = DatasetKind::voice;
  std::int64_t sample_rate_hz = 0;
  std::string parameters, tool_version, content_hash, split_hash;
  std::vector<std::string> speakers;
  std::vector<Clip> clips;
  std::vector<Song> songs;
  std::int64_t n_tracks = 0;  // mixes included
  std::vector<RecordingRow> recordings;
  std::vector<FeatureKey> feature_sets;
  std::map<std::string, FeatureIndex> features;  // by group
  double scale = 1;                              // of a stored sample

  // Throws Error(data) that lists what there is if `key` is not among it.
  [[nodiscard]] const FeatureIndex& index_of(const FeatureKey& key) const;
  // Rows of a feature set that belong to row `item` of /clips or /tracks.
  [[nodiscard]] FeatureMatrix rows_of(const FeatureKey& key, std::int64_t item) const;
  // `count` stored values from `first` on, scaled to [-1, 1].
  [[nodiscard]] std::vector<float> samples(std::int64_t first, std::int64_t count) const;
  // /songs and /tracks, each track inside the samples; throws Error(data).
  void read_songs();
};

// The columns of a group.
struct DatasetColumns {
  const Hdf5File& file;
  std::string group;
  [[nodiscard]] std::vector<std::int64_t> integers(const std::string& name) const {
    return file.read<std::int64_t>(group + name);
  }
  [[nodiscard]] std::vector<double> reals(const std::string& name) const { return file.read<double>(group + name); }
  [[nodiscard]] std::vector<std::string> texts(const std::string& name) const { return file.read_text(group + name); }
  // Throws Error(data) unless all columns have `n` rows.
  void check(std::size_t n, std::initializer_list<std::size_t> sizes) const;
};

}  // namespace melisma
