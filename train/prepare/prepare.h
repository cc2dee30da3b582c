// Recordings become a dataset: find, cut, recognise duplicates, split, make features, write, report.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "tools/base/event.h"
#include "train/prepare/features.h"
#include "train/prepare/part.h"
#include "train/prepare/prepare_config.h"

namespace melisma {

struct PrepareRequest {
  std::filesystem::path recordings;
  std::filesystem::path dataset;  // <workspace>/datasets/<name>.h5
  std::filesystem::path cache;    // <workspace>/cache/prepare: parts that a second run takes up again
  std::optional<std::filesystem::path> split_list;
  std::string tool_version;
  int threads = 0;     // 0 = all processors this process may use
  bool force = false;  // replace a dataset of other content
  PrepareConfig config;
};

// What one speaker has in each split.
struct SpeakerSummary {
  std::string name;
  std::map<Split, std::int64_t> recordings, clips;
  std::map<Split, double> seconds;
};

struct PrepareReport {
  std::filesystem::path dataset;
  std::string content_hash, split_hash;
  std::int64_t sample_rate_hz = 0;
  std::vector<RecordingRow> recordings;    // every file and its fate, by name
  std::map<std::string, Dropped> dropped;  // what was left out of kept recordings, by reason
  std::vector<SpeakerSummary> speakers;
  std::vector<FeatureKey> features;
  std::int64_t n_parts_reused = 0, n_blocks_reused = 0, n_blocks_made = 0;
  std::string outcome;  // "written", "features added", "already complete"

  // 0, or 3 if a recording could not be read or nothing is left to train on.
  [[nodiscard]] int exit_code() const;
};

// Makes `request.dataset`, or adds the feature sets it lacks when the same recordings were prepared the same way
// before. Results do not depend on the number of threads. Throws Error: data (missing or empty folder, nothing usable),
// usage (another dataset of that name and no force), config (settings, split list), device (disk), interrupted (after a
// signal; the same command continues).
PrepareReport prepare(const PrepareRequest& request, std::span<const FeatureMaker> features, EventSink& events);

}  // namespace melisma
