// What running a program costs: CPU seconds, wall seconds, memory.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace melisma {

struct ProcessCost {
  int exit_code = 0;       // 128 + signal if a signal ended it
  double cpu_seconds = 0;  // user and system, its own children included
  double wall_seconds = 0;
  double peak_megabytes = 0;  // of the largest process
};

// Runs `words` (the first one looked up in PATH) to its end with standard output and error going to `output`.
// Throws Error(device) if it cannot be started.
[[nodiscard]] ProcessCost run_program_and_measure(const std::vector<std::string>& words,
                                                  const std::filesystem::path& output);

}  // namespace melisma
