#include "experiments/jobs/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "experiments/runs/job_note.h"
#include "tools/base/append_file.h"
#include "tools/base/atomic_file.h"
#include "tools/base/clock.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using Clock = std::chrono::steady_clock;

constexpr int kCannotStart = 2;  // exit code of a job whose folder or program is not there: not worth another try

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(std::llround(1000 * seconds));
}

// SIGCHLD and the signals that ask for an end wait until they are asked for.
class HeldSignals {
 public:
  HeldSignals() {
    sigemptyset(&signals_);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&signals_, signal);
    ::sigprocmask(SIG_BLOCK, &signals_, &before_);
  }
  ~HeldSignals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  // The next one; 0 after `seconds` without any.
  [[nodiscard]] int next(double seconds) const {
    timespec time{static_cast<time_t>(seconds),
                  static_cast<long>(1e9 * (seconds - std::floor(seconds)))};  // NOLINT(google-runtime-int)
    const int signal = ::sigtimedwait(&signals_, nullptr, &time);
    return signal > 0 ? signal : 0;
  }

 private:
  sigset_t signals_{}, before_{};
};

// A program starts with no signal held back or ignored.
void reset_signals() {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD}) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// From now on this process gets SIGTERM when its parent ends; false if that has happened already.
bool end_with(pid_t parent) { return ::prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && ::getppid() == parent; }

[[noreturn]] void say_and_exit(const std::string& problem) {
  const auto line = fmt::format("melisma: usage: {}: {}\n", problem, std::strerror(errno));
  (void)!::write(STDERR_FILENO, line.data(), line.size());
  ::_exit(kCannotStart);
}

// The forked process becomes the job.
[[noreturn]] void become(const JobStart& start, pid_t supervisor) {
  reset_signals();
  if (!end_with(supervisor)) ::_exit(128 + SIGTERM);
  for (const auto* lock : start.locks) lock->keep_across_exec();
  const int log = ::open(start.files.log().c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (log < 0 || nothing < 0) ::_exit(kCannotStart);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::close(nothing);
  ::close(log);
  if (::chdir(start.folder.c_str()) != 0) say_and_exit(fmt::format("cannot enter '{}'", start.folder.string()));
  for (const auto& [name, value] : start.environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> words;
  for (const auto& word : start.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execvp(words.front(), words.data());
  say_and_exit(fmt::format("cannot start '{}'", start.words.front()));
}

void begin_log(const JobStart& start) {
  make_folders(start.files.folder, "name another --workspace");
  AppendFile(start.files.log())
      .append(fmt::format("== {}, {}: {}\n", start.title, utc_now(), fmt::join(start.words, " ")));
}

// The exit code of a process that has ended, 128 + signal if one ended it; nothing while it runs.
std::optional<int> ended(pid_t pid) {
  int status = 0;
  if (::waitpid(pid, &status, WNOHANG) != pid) return std::nullopt;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

JobEnd wait_for(pid_t job, const JobStart& start, const HeldSignals& signals) {
  constexpr double kLookAnyway = 0.5;
  JobEnd end{.is_known = true};
  auto deadline = Clock::time_point::max();
  while (true) {
    if (const auto code = ended(job)) {
      end.exit_code = *code;
      return end;
    }
    const int signal = signals.next(kLookAnyway);
    if (signal != 0 && signal != SIGCHLD && !end.was_stopped) {
      end.was_stopped = true;
      if (start.hands_on_stop) ::kill(job, SIGTERM);
      deadline = Clock::now() + milliseconds(start.grace_seconds);
    }
    if (Clock::now() > deadline) ::kill(job, SIGKILL);
  }
}

JobEnd supervise_with(const JobStart& start, const HeldSignals& signals) {
  begin_log(start);
  const pid_t self = ::getpid();
  const pid_t job = ::fork();
  if (job == 0) become(start, self);
  if (job < 0) fail(ErrorKind::device, "no process can be started for the job: {}", std::strerror(errno));
  const auto end = wait_for(job, start, signals);
  write_end(start.files, start.start, end);
  return end;
}

// The forked process becomes the supervisor. Signals are held from before the fork, so that none is lost.
[[noreturn]] void become_supervisor(const JobStart& start, const HeldSignals& signals, pid_t worker, int go) {
  ::setpgid(0, 0);
  char byte = 0;
  if (!end_with(worker) || ::read(go, &byte, 1) != 1) ::_exit(0);  // the worker is gone: nothing was started
  try {
    (void)supervise_with(start, signals);
    ::kill(-::getpid(), SIGKILL);  // what the job left behind ends with it, and this process
    ::_exit(0);
  } catch (const std::exception& error) {
    const auto line = fmt::format("melisma: {}\n", error.what());
    (void)!::write(STDERR_FILENO, line.data(), line.size());
    ::_exit(Error(ErrorKind::device, "").exit_code());
  }
}

}  // namespace

JobStart prepare_start(const JobFiles& files, JobId id, std::int64_t start, const std::vector<std::string>& program,
                       const std::vector<std::string>& words, const std::string& where) {
  JobStart made{.files = files, .start = start, .words = program};
  for (auto& word : words_to_start(words, run_of(files))) made.words.push_back(std::move(word));
  made.environment[kJobFolderVariable] = files.folder.string();
  made.title = fmt::format("job {}, start {}, on {}", id, start, where);
  std::error_code absent;
  std::filesystem::remove(files.progress(), absent);
  return made;
}

JobEnd supervise(const JobStart& start) {
  const HeldSignals signals;
  return supervise_with(start, signals);
}

Supervisor::Supervisor(const JobStart& start)
    : files_(start.files), start_(start.start), grace_seconds_(start.grace_seconds) {
  int to[2], from[2];
  if (::pipe2(to, O_CLOEXEC) != 0) fail(ErrorKind::device, "no pipe can be made: {}", std::strerror(errno));
  if (::pipe2(from, O_CLOEXEC) != 0) {
    ::close(to[0]);
    ::close(to[1]);
    fail(ErrorKind::device, "no pipe can be made: {}", std::strerror(errno));
  }
  go_ = to[1];
  alive_ = from[0];
  const pid_t worker = ::getpid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const HeldSignals signals;
  pid_ = ::fork();
  if (pid_ == 0) {
    ::close(to[1]);
    ::close(from[0]);
    become_supervisor(start, signals, worker, to[0]);
  }
  ::close(to[0]);
  ::close(from[1]);
  if (pid_ < 0) fail(ErrorKind::device, "no process can be started for the job: {}", std::strerror(errno));
  ::setpgid(pid_, pid_);  // by whoever comes first
}

Supervisor::~Supervisor() {
  if (!has_ended_ && pid_ > 0) {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (go_ >= 0) ::close(go_);
  if (alive_ >= 0) ::close(alive_);
}

void Supervisor::go() {
  const char byte = 1;
  (void)!::write(go_, &byte, 1);
  ::close(std::exchange(go_, -1));
}

void Supervisor::stop() const { ::kill(pid_, SIGTERM); }

bool Supervisor::wait(double seconds) {
  pollfd end{alive_, 0, 0};
  if (::poll(&end, 1, static_cast<int>(std::lround(1000 * seconds))) <= 0) return has_ended_;
  reap();
  return true;
}

// What the job left behind is waited for, too: its orphans are this process's children. A job whose supervisor was
// killed was told to save and end by that.
void Supervisor::reap() {
  constexpr auto kForTheKilled = std::chrono::seconds(5);  // who does not end then is stuck in the kernel
  int status = 0;
  ::waitpid(pid_, &status, 0);
  has_ended_ = true;
  const bool is_known = read_end(files_, start_).is_known;
  own_exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  const auto last = Clock::now() + milliseconds(is_known ? 0 : grace_seconds_);
  while (::kill(-pid_, 0) == 0 && Clock::now() < last + kForTheKilled) {
    while (::waitpid(-pid_, nullptr, WNOHANG) > 0) {
    }
    if (Clock::now() > last) ::kill(-pid_, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

JobEnd Supervisor::end() const {
  const auto end = read_end(files_, start_);
  if (end.is_known || own_exit_code_ == 0) return end;
  return {.is_known = true, .exit_code = own_exit_code_};  // it could not write it down
}

}  // namespace melisma
