// What another program says.
#pragma once
#include <string>
#include <vector>

namespace melisma {

struct ProgramOutput {
  int exit_code = 0;  // 128 + signal if one ended it
  std::string out, err;
};

// Runs `words` (the first one looked up in PATH) to its end, with nothing to read. Error(device) if it cannot be
// started.
[[nodiscard]] ProgramOutput output_of_program(const std::vector<std::string>& words);

}  // namespace melisma
