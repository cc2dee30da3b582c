// `melisma compare`: how alike two voices are, by weights and by ear.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace melisma {

struct CompareOptions {
  std::filesystem::path workspace;
  std::string model, other;          // model files, runs or checkpoint folders
  std::string epoch = "best";        // of runs: "best", "last" or a number
  std::string dataset;               // a name in the workspace, or a path; empty = only the weights are compared
  std::string split = "validation";  // "test" is recorded in the dataset's ledger
  std::vector<std::string> metrics;  // none = the default ones
  std::int64_t max_clips = 0;        // 0 = all
  std::uint64_t seed = 0;            // of the attention probe and of the noise
  bool json = false;
};

// Prints cosine and distance of each part, the similarity of what their attention answers, and, with a dataset, what
// both make of the same held-out clips: paired differences with intervals and the signed-rank test. The ledger entries
// of `test`, one a model, are written before anything is measured. Exit code 0.
int compare(const CompareOptions& options);

}  // namespace melisma
