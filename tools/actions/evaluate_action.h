// `melisma evaluate`: a voice over a dataset's held-out recordings, with intervals, beside its baselines.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace melisma {

struct EvaluateOptions {
  std::filesystem::path workspace;
  std::string model;                 // model file, run, or checkpoint folder
  std::string epoch = "best";        // of a run: "best", "last" or a number
  std::string dataset;               // a name in the workspace, or a path
  std::string split = "validation";  // "test" is recorded in the dataset's ledger
  std::vector<std::string> metrics;  // none = the default ones
  std::int64_t max_clips = 0;        // 0 = all
  std::int64_t examples = 3;         // recordings whose audio is kept for the report
  std::uint64_t noise_seed = 0;
  std::string device = "auto";
  bool json = false;
  std::filesystem::path output;  // where the JSON also goes; empty = only the run's folder
};

// Prints the table (or JSON). A run's evaluation is kept in <run>/evaluations/<split>-<epoch>.json for the report, with
// example audio in the folder of the same name. The ledger entry of `test` is written before anything is measured.
// Exit code 0.
int evaluate(const EvaluateOptions& options);

}  // namespace melisma
