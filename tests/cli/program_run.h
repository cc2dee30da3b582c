// Runs the real program as a person would: melisma({"train", "rvc", ...}) gives its exit code and what it wrote.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/golden.h"

namespace melisma::testing {

struct ProgramResult {
  int exit_code = -1;  // 128 + signal if one ended it
  std::string out, err;
  std::int64_t peak_memory_bytes = 0;  // most that was resident at once
};

// A program under way; finish() waits for it. stdout and stderr go to files in `folder`. One that is not waited for is
// killed.
class ProgramRun {
 public:
  ProgramRun(const std::filesystem::path& folder, const std::vector<std::string>& arguments)
      : out_(folder / "stdout.txt"), err_(folder / "stderr.txt") {
    const char* binary = std::getenv("MELISMA_BINARY");
    program_ = binary != nullptr ? binary : "./melisma";
    std::vector<const char*> words{program_.c_str()};
    for (const auto& argument : arguments) words.push_back(argument.c_str());
    words.push_back(nullptr);
    std::filesystem::remove(out_);  // of the last program
    std::filesystem::remove(err_);
    child_ = ::fork();
    if (child_ != 0) return;
    ::dup2(::open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDOUT_FILENO);
    ::dup2(::open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDERR_FILENO);
    if (::chdir(folder.c_str()) == 0) ::execv(program_.c_str(), const_cast<char* const*>(words.data()));
    ::_exit(127);
  }
  ~ProgramRun() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  ProgramRun(const ProgramRun&) = delete;
  ProgramRun& operator=(const ProgramRun&) = delete;

  [[nodiscard]] pid_t pid() const { return child_; }
  [[nodiscard]] std::string err() const { return text_of(err_); }
  // Waits until `is_there` holds; false once the program has ended, or five minutes have passed, without that.
  [[nodiscard]] bool wait_until(const std::function<bool()>& is_there) const {
    for (int i = 0; i < 60000; ++i) {
      const bool has_ended = this->has_ended();  // asked first: what it left behind still counts
      if (is_there()) return true;
      if (has_ended) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  [[nodiscard]] bool wait_until_it_says(const std::string& words) const {
    return wait_until([&] { return err().find(words) != std::string::npos; });
  }
  ProgramResult finish() {
    int status = 0;
    rusage usage{};
    ::wait4(std::exchange(child_, -1), &status, 0, &usage);
    return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
            .out = text_of(out_),
            .err = text_of(err_),
            .peak_memory_bytes = usage.ru_maxrss * 1024};
  }

 private:
  [[nodiscard]] bool has_ended() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
  }
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
