// `melisma train`: a recipe and a dataset become a run.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace melisma {

struct TrainOptions {
  std::filesystem::path workspace;
  std::string recipe;
  std::string dataset;           // name or file
  std::string config;            // TOML file; empty = defaults
  std::vector<std::string> set;  // "key.path=value"
  std::string from;              // weights to start with; empty = fresh ones
  std::string name;              // of the run; empty = the dataset's
  std::int64_t epochs = 0;       // 0 = as the settings say
  std::int64_t processes = 1;    // ranks to start on this machine
  std::string interface;         // network interface for gradients; empty = as the settings say
  bool is_resume = false;
  std::string resume_run;  // empty = by name, by dataset, or the newest run of the recipe
  std::string resume_epoch = "last";
  std::string version, commit;  // of the program, for the manifest
};

// Trains to the end, alone, as a rank that somebody started, or by starting ranks. Returns 0 (also when the
// overtraining check ended it). Throws Error otherwise; after the run folder is made, its status says why.
int train(const TrainOptions& options);

}  // namespace melisma
