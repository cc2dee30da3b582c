// Where things are inside a dataset file; the one list that reader and writer share.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "data/sets/dataset.h"
#include "data/sets/hdf5_file.h"

namespace melisma::layout {

inline constexpr std::int64_t kSchemaVersion = 1;
// The ledger is a list of pages of fixed size: an entry is written in place, so that a kill cannot harm the file.
inline constexpr std::int64_t kLedgerRows = 256, kTimeWidth = 32, kCommandWidth = 256, kModelWidth = 64;

// Attribute of a feature set: how many frames a row of its values stands for; absent = 1.
inline constexpr const char* kFramesARow = "frames_a_row";

// A feature set in eight bits: its values are codes, value = lowest + step * code with a lowest and a step for each
// clip or track, in columns of that name beside `offsets`. The attribute says how far a value is off at most, as
// measured.
inline constexpr const char* kLowest = "lowest";
inline constexpr const char* kStep = "step";
inline constexpr const char* kLargestError = "largest_error";

[[nodiscard]] inline std::string features_of(const FeatureKey& key) {
  return "/features/" + key.kind + "/" + key.parameter_hash();
}

// Makes page number `page` of the ledger.
void add_ledger_page(Hdf5File& file, std::int64_t page);

// Hash of everything a dataset is: parameters, speakers, clips with their content, splits; and of the splits alone.
struct Hashes {
  std::string content, split;
};
[[nodiscard]] Hashes hashes_of(const std::string& parameters, const std::vector<std::string>& speakers,
                               const std::vector<Clip>& clips);
[[nodiscard]] Hashes hashes_of(const std::string& parameters, const std::vector<Song>& songs);

// Holds the dataset's writers off one another, across processes, for its lifetime (flock on the file that `path` names
// now, asked again if another writer has replaced it meanwhile). Throws Error(data) or Error(device).
class WriterLock {
 public:
  explicit WriterLock(const std::filesystem::path& path);
  ~WriterLock();
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

// Copies `path` with changes: change(file) works on a copy, which then replaces it. The caller holds a WriterLock.
void replace_with_changes(const std::filesystem::path& path, const std::function<void(Hdf5File&)>& change);

}  // namespace melisma::layout
