// Running another program to its end, and what that cost: CPU seconds, wall seconds, memory.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace melisma {

struct ProgramCost {
  int exit_code = 0;       // 128 + signal if a signal ended it
  double cpu_seconds = 0;  // user and system, its own children included
  double wall_seconds = 0;
  double peak_megabytes = 0;  // that it had resident itself, looked at every few milliseconds
};

// Runs `words` (the first one looked up in PATH), with nothing to read, standard output going to the file `out` and
// errors to `err`. Throws Error(device) if it cannot be started.
[[nodiscard]] ProgramCost run_to_end(const std::vector<std::string>& words, const std::filesystem::path& out,
                                     const std::filesystem::path& err);
// Both to one file.
[[nodiscard]] inline ProgramCost run_to_end(const std::vector<std::string>& words, const std::filesystem::path& said) {
  return run_to_end(words, said, said);
}

}  // namespace melisma
