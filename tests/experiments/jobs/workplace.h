// A workspace whose jobs are shell scripts, and workers for it in this process or in forks of it.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "experiments/jobs/job_queue.h"
#include "experiments/jobs/local_worker.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"

namespace melisma::testing {

class SilentSink final : public EventSink {
 public:
  void receive(const Event&) override {}
};

inline bool wait_until(const std::function<bool()>& is_so) {
  for (int i = 0; i < 12000 && !is_so(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return is_so();
}

// A worker as a process of its own; killed at the end.
class WorkerProcess {
 public:
  explicit WorkerProcess(const WorkerOptions& options) : pid_(::fork()) {
    if (pid_ != 0) return;
    try {
      SilentSink sink;
      install_stop_handlers();
      work(options, sink);
      ::_exit(0);
    } catch (const Error& error) {
      ::_exit(error.exit_code());
    }
  }
  ~WorkerProcess() { (void)kill(); }
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  int kill() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    return finish();
  }
  // Its exit code, 128 + signal if one ended it.
  int finish() {
    if (pid_ <= 0) return -1;
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
};

class Workplace : public ::testing::Test {
 protected:
  // Locks on devices lie in a folder of this test's own.
  void SetUp() override {
    std::filesystem::create_directories(folder / "temporary");
    ::setenv("TMPDIR", (folder / "temporary").c_str(), 1);
    std::filesystem::create_directories(place());
  }
  void TearDown() override { ::unsetenv("TMPDIR"); }

  [[nodiscard]] std::filesystem::path workspace() const { return folder / "workspace"; }
  [[nodiscard]] std::filesystem::path place() const { return folder / "place"; }  // where jobs run
  [[nodiscard]] WorkerOptions options(const std::string& device = "cpu") const {
    return {.workspace = workspace(),
            .device = device,
            .program = {"/bin/sh", "-c"},
            .until_empty = true,
            .grace_seconds = 20,
            .pause_seconds = 0.01};
  }
  void work_until_empty(const std::string& device = "cpu") const {
    SilentSink sink;
    work(options(device), sink);
  }
  [[nodiscard]] JobRequest request(const std::string& script) const {
    return {.words = {script}, .folder = place(), .name = script.substr(0, 20), .backoff_seconds = 0.05};
  }
  JobId submit(const JobRequest& wanted) const { return JobQueue(workspace()).submit("local", {{wanted}}).front(); }
  JobId submit(const std::string& script) const { return submit(request(script)); }
  [[nodiscard]] Job job(JobId id) const { return JobQueue(workspace()).find(id); }
  [[nodiscard]] std::string log(JobId id) const { return read_file(JobFiles(workspace(), id).log()); }
  // A file that jobs wrote; empty if there is none.
  [[nodiscard]] std::string text(const std::string& name) const {
    return std::filesystem::exists(place() / name) ? read_file(place() / name) : "";
  }
  [[nodiscard]] bool waited_for(const std::string& name) const {
    return wait_until([&] { return std::filesystem::exists(place() / name); });
  }

  TemporaryFolder folder;
};

}  // namespace melisma::testing
