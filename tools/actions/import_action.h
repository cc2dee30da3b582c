// `melisma import`: an experiment folder of Applio or RVC-WebUI becomes a dataset and a run that trains on.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace melisma {

struct ImportOptions {
  std::filesystem::path workspace;
  std::filesystem::path folder;  // logs/NAME of the tool
  std::string name;              // of dataset, run and speaker; empty = the folder's
  double validation_share = 0.1, test_share = 0.1;
  std::uint64_t seed = 0;           // of the split
  std::int64_t sample_rate_hz = 0;  // of a voice whose files do not tell it; 0 = they do
  bool force = false;               // replace a dataset of that name
  bool json = false;
  std::string version, commit;  // of the program, for the manifest
};

// Writes the dataset, and the run if both networks of a checkpoint can be read. Returns 0, or 3 if a slice or a
// checkpoint could not be read or no slice is of use; what went well stays. Throws Error otherwise.
int import_experiment(const ImportOptions& options);

}  // namespace melisma
