// A command that makes out.wav of recordings, run in a folder of its own.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/cli/program_run.h"

namespace melisma::testing {

class AudioCommand : public ::testing::Test {
 protected:
  explicit AudioCommand(std::string name) : name_(std::move(name)) {}
  [[nodiscard]] ProgramResult run(std::vector<std::string> words) const {
    words.insert(words.begin(), name_);
    return run_program(folder_.path(), words);
  }
  // The message, the exit code, and nothing made.
  void expect_refusal(const std::vector<std::string>& words, int exit_code, const std::string& message) const {
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, exit_code);
    EXPECT_EQ(result.err, "melisma: " + message + "\n");
    EXPECT_EQ(result.out, "");
    EXPECT_FALSE(std::filesystem::exists(folder_ / "out.wav"));
  }
  TemporaryFolder folder_;

 private:
  std::string name_;
};

}  // namespace melisma::testing
