// Runs a command that needs no tensors inside the test: exit code, stdout and stderr.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tools/cli/commands.h"

namespace melisma::testing {

struct InProcessResult {
  int exit_code = -1;
  std::string out, err;
};

inline InProcessResult melisma_in_process(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "melisma");
  std::vector<char*> words;
  for (auto& argument : arguments) words.push_back(argument.data());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  InProcessResult result;
  result.exit_code = melisma::run_program(static_cast<int>(words.size()), words.data());
  result.out = ::testing::internal::GetCapturedStdout();
  result.err = ::testing::internal::GetCapturedStderr();
  return result;
}

}  // namespace melisma::testing
