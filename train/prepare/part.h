// One recording, prepared: what became of it, its clips and its fingerprint, in a cache file of its own.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/sets/dataset_writer.h"
#include "data/sets/fingerprint.h"

namespace melisma {

struct PartClip {
  std::int64_t recording_offset = 0;  // first sample in the resampled recording
  std::int64_t length = 0;
  std::string hash;  // of the samples as stored
};

// Sound that was left out, by reason ("silence", "too short").
struct Dropped {
  std::int64_t n_slices = 0;
  double seconds = 0;
};

// Of a track of a song the clips are blocks, each of one channel, the channels of a block one after the other.
struct Part {
  std::string fate, detail;  // name of a row of kFates; the reason for a person
  bool is_kept = false;
  double seconds = 0;  // of the recording as decoded
  std::int64_t n_channels = 1;
  std::vector<PartClip> clips;
  std::map<std::string, Dropped> dropped;
  std::string sound_hash;  // of all stored samples: equal for exact copies
  Fingerprint fingerprint;

  [[nodiscard]] double kept_seconds(std::int64_t sample_rate_hz) const;  // clips overlap: counted once
};

// The samples of all clips of a part, one after the other, as they are written and read.
class PartWriter {
 public:
  PartWriter(std::filesystem::path temporary, WaveStorage storage);
  // Stores the samples of the next clip; returns their hash.
  std::string add(std::span<const float> samples);
  // Writes the header behind them; the file is complete.
  void finish(const Part& part);

 private:
  std::filesystem::path path_;
  WaveStorage storage_;
  std::shared_ptr<std::FILE> file_;
};

// What is in the file; nothing if it is absent, damaged or of another version (it is then made again).
[[nodiscard]] std::optional<Part> read_part(const std::filesystem::path& path);

// Samples of the clips of one part.
class PartReader {
 public:
  PartReader(const std::filesystem::path& path, const Part& part, WaveStorage storage);
  [[nodiscard]] std::vector<float> samples(std::size_t clip) const;

 private:
  std::shared_ptr<std::FILE> file_;
  std::filesystem::path path_;
  std::vector<std::int64_t> offsets_, lengths_;
  WaveStorage storage_;
};

}  // namespace melisma
