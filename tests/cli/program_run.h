// Runs the real program as a person would: melisma({"train", "rvc", ...}) gives its exit code and what it wrote.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/golden.h"

namespace melisma::testing {

struct ProgramResult {
  int exit_code = -1;
  std::string out, err;
};

// A program under way; finish() waits for it. stdout and stderr go to files in `folder`.
class ProgramRun {
 public:
  ProgramRun(const std::filesystem::path& folder, const std::vector<std::string>& arguments)
      : out_(folder / "stdout.txt"), err_(folder / "stderr.txt") {
    const char* binary = std::getenv("MELISMA_BINARY");
    program_ = binary != nullptr ? binary : "./melisma";
    std::vector<const char*> words{program_.c_str()};
    for (const auto& argument : arguments) words.push_back(argument.c_str());
    words.push_back(nullptr);
    child_ = ::fork();
    if (child_ != 0) return;
    ::dup2(::open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDOUT_FILENO);
    ::dup2(::open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDERR_FILENO);
    if (::chdir(folder.c_str()) == 0) ::execv(program_.c_str(), const_cast<char* const*>(words.data()));
    ::_exit(127);
  }
  [[nodiscard]] pid_t pid() const { return child_; }
  [[nodiscard]] std::string err() const { return text_of(err_); }
  ProgramResult finish() {
    int status = 0;
    ::waitpid(child_, &status, 0);
    return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
            .out = text_of(out_),
            .err = text_of(err_)};
  }

 private:
  static std::string text_of(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  std::string program_;
  std::filesystem::path out_, err_;
  pid_t child_ = -1;
};

inline ProgramResult run_program(const std::filesystem::path& folder, const std::vector<std::string>& arguments) {
  return ProgramRun(folder, arguments).finish();
}

}  // namespace melisma::testing
