// Runs the program as a person would: run_program(folder, {"train", "rvc", ...}) gives its exit code and what it wrote.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/golden.h"
#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma::testing {

struct ProgramResult {
  int exit_code = -1;  // 128 + signal if one ended it
  std::string out, err;
  std::int64_t peak_memory_bytes = 0;  // most that was resident at once
};

namespace program_run_detail {

// Opens the engine in this process, so that forks of it have LibTorch at hand; false where that cannot be done.
inline bool has_engine_open() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return false;
#else
  static const bool is_open = [] {
    std::error_code none;
    const char* binary = std::getenv("MELISMA_BINARY");
    if (binary == nullptr || std::filesystem::canonical(binary, none).parent_path() !=
                                 std::filesystem::canonical("/proc/self/exe", none).parent_path()) {
      return false;  // another build's
    }
    try {
      (void)engine(GlobalOptions{});
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }();
  return is_open;
#endif
}

inline bool has_one_thread() {
  const std::filesystem::directory_iterator threads("/proc/self/task");
  return std::distance(begin(threads), end(threads)) == 1;
}

// Whether a fork of this process does what the program would: not with a number of threads, which libraries ask once
// when they are opened, and not where the program looks for its own file.
inline bool may_fork(const std::vector<std::string>& arguments) {
  const auto names = [&](std::string_view word) { return std::ranges::find(arguments, word) != arguments.end(); };
  return !names("--threads") && !names("bench") && !names("engine") && !names("jobs") && !names("--processes") &&
         has_one_thread() && has_engine_open();
}

}  // namespace program_run_detail

// How the program is started: as a process of its own, or as a fork of the test, which runs the same code and saves the
// third of a second in which LibTorch is opened. What is measured of a process wants a fresh one.
enum class Start { fresh, forked };

// A program under way; finish() waits for it. stdout and stderr go to files in `folder`. One that is not waited for is
// killed.
class ProgramRun {
 public:
  // `before` runs in the new process: it may enter another namespace or set variables.
  ProgramRun(const std::filesystem::path& folder, const std::vector<std::string>& arguments, Start start = Start::fresh,
             const std::function<void()>& before = {})
      : out_(folder / "stdout.txt"), err_(folder / "stderr.txt") {
    const char* binary = std::getenv("MELISMA_BINARY");
    program_ = binary != nullptr ? binary : "./melisma";
    std::vector<const char*> words{program_.c_str()};
    for (const auto& argument : arguments) words.push_back(argument.c_str());
    words.push_back(nullptr);
    std::filesystem::remove(out_);  // of the last program
    std::filesystem::remove(err_);
    std::fflush(nullptr);  // or a fork would write it, too
    child_ = ::fork();
    if (child_ != 0) return;
    if (before) before();
    ::dup2(::open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDOUT_FILENO);
    ::dup2(::open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDERR_FILENO);
    if (::chdir(folder.c_str()) != 0) ::_exit(127);
    if (start == Start::forked) {
      end_program(melisma::run_program(static_cast<int>(arguments.size()) + 1, const_cast<char**>(words.data())));
    }
    ::execv(program_.c_str(), const_cast<char* const*>(words.data()));
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
  const auto start = program_run_detail::may_fork(arguments) ? Start::forked : Start::fresh;
  return ProgramRun(folder, arguments, start).finish();
}

}  // namespace melisma::testing
