// Which side of the train / validation / test line a recording is on: whole recordings, seeded, the same tomorrow.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/sets/dataset.h"

namespace melisma {

// One recording to be placed. Recordings of one `group` (>= 0) hold the same sound and go to the same side.
struct SplitItem {
  std::string name;  // path relative to the folder, with '/'
  std::string speaker;
  std::int64_t group = -1;
};

// Shares of the recordings held out, and the seed that chooses them.
struct SplitShares {
  double validation = 0.1;
  double test = 0.1;
  std::uint64_t seed = 0;
};

// The side of each item, in their order. A recording's place depends on its name and the seed: recordings added later
// move no other one, but for the balance below. Speakers with at least three recordings (groups count once) have at
// least one, and at most one and a half times its share, in each split whose share is not 0; the rest are pooled and
// treated so together; two recordings in all give one to validation, a single one trains.
[[nodiscard]] std::vector<Split> split_recordings(std::span<const SplitItem> items, const SplitShares& shares);

// A list file: lines "train NAME", "validation NAME" or "test NAME", '#' begins a comment line, names may hold blanks.
struct SplitListEntry {
  Split split;
  std::string name;
  std::int64_t line;
};
// Throws Error(config) with every wrong line of the file at once (file:line).
[[nodiscard]] std::vector<SplitListEntry> read_split_list(const std::filesystem::path& path);

// The sides that a list gives. Throws Error(config) with everything that does not fit: names that are no recording
// (with the nearest ones), recordings it does not name, names given twice, recordings of one group on different sides.
[[nodiscard]] std::vector<Split> split_by_list(std::span<const SplitItem> items,
                                               std::span<const SplitListEntry> entries, std::string_view source);

}  // namespace melisma
