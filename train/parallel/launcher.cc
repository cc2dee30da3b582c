#include "train/parallel/launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <sstream>

#include "tools/base/error.h"
#include "tools/base/stop.h"

namespace melisma {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kKeptOutput = 64 * 1024;  // bytes of a rank's stderr, the last ones
constexpr int kGlanceMs = 50;
constexpr double kStopAfterSeconds = 10;  // ranks that have not met yet wait for the lost one: they are told to stop
constexpr double kKillAfterSeconds = 60;  // beyond the timeout: time to notice and to save

// Strings as execve wants them.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// This process's environment with `changes`, "NAME=value" each.
std::vector<std::string> environment_with(const std::vector<std::string>& changes) {
  std::vector<std::string> all;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view own = *variable;
    const auto name = own.substr(0, own.find('=') + 1);
    const bool is_changed = std::ranges::any_of(changes, [&](const auto& change) { return change.starts_with(name); });
    if (!is_changed) all.emplace_back(own);
  }
  all.insert(all.end(), changes.begin(), changes.end());
  return all;
}

std::vector<std::string> variables_of(const Launch& launch, std::int64_t rank) {
  std::vector<std::string> variables{fmt::format("RANK={}", rank),
                                     fmt::format("LOCAL_RANK={}", rank),
                                     fmt::format("WORLD_SIZE={}", launch.processes),
                                     fmt::format("LOCAL_WORLD_SIZE={}", launch.processes),
                                     fmt::format("MASTER_ADDR={}", launch.listener->address()),
                                     fmt::format("MASTER_PORT={}", launch.listener->port()),
                                     "TORCHELASTIC_USE_AGENT_STORE=False"};
  if (rank == 0) variables.push_back(fmt::format("{}={}", kListenerVariable, launch.listener->fd()));
  if (launch.threads_each > 0) variables.push_back(fmt::format("OMP_NUM_THREADS={}", launch.threads_each));
  return variables;
}

// One rank's process.
class RankProcess {
 public:
  RankProcess(const Launch& launch, std::int64_t rank) : rank_(rank) {
    auto command = launch.command;
    auto environment = environment_with(variables_of(launch, rank));
    const auto arguments = pointers_to(command), variables = pointers_to(environment);
    std::array<int, 2> pipe{-1, -1};
    if (rank != 0 && ::pipe2(pipe.data(), O_CLOEXEC) != 0) fail_to_start();
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) fail_to_start();
    if (pid_ == 0) become(arguments, variables, pipe[1], launch.listener->fd(), parent);
    if (pipe[1] >= 0) ::close(pipe[1]);
    output_ = pipe[0];
  }
  ~RankProcess() {
    if (is_running()) {
      signal(SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    if (output_ >= 0) ::close(output_);
  }
  RankProcess(const RankProcess&) = delete;
  RankProcess& operator=(const RankProcess&) = delete;

  [[nodiscard]] std::int64_t rank() const { return rank_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int output() const { return output_; }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool is_running() const { return status_ < 0; }
  [[nodiscard]] bool is_killed() const { return !is_running() && WIFSIGNALED(status_); }
  // Of one that has ended.
  [[nodiscard]] int exit_code() const { return is_killed() ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_); }
  [[nodiscard]] std::string end() const {
    return is_killed() ? fmt::format("was ended by signal {} ({})", WTERMSIG(status_), ::strsignal(WTERMSIG(status_)))
                       : fmt::format("ended with status {}", WEXITSTATUS(status_));
  }
  void signal(int number) const {
    if (is_running()) ::kill(pid_, number);
  }
  // Keeps what it wrote meanwhile.
  void read_output() {
    std::array<char, 4096> piece{};
    const auto n = ::read(output_, piece.data(), piece.size());
    if (n > 0) text_.append(piece.data(), static_cast<std::size_t>(n));
    if (text_.size() > kKeptOutput) text_.erase(0, text_.size() - kKeptOutput);
    if (n == 0 || (n < 0 && errno != EINTR)) ::close(std::exchange(output_, -1));
  }
  // Notes whether it has ended; true the first time.
  bool has_just_ended() {
    int status = 0;
    if (!is_running() || ::waitpid(pid_, &status, WNOHANG) != pid_) return false;
    status_ = status;
    return true;
  }

 private:
  [[noreturn]] void fail_to_start() const {
    fail(ErrorKind::device, "cannot start rank {}: {}", rank_, std::strerror(errno));
  }
  // In the new process, where only simple calls are safe. A group of its own: Ctrl-C reaches it through its starter,
  // once.
  [[noreturn]] void become(const std::vector<char*>& arguments, const std::vector<char*>& variables, int output,
                           int listener, pid_t parent) const {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(143);
    const int nothing = ::open("/dev/null", O_RDWR);
    ::dup2(nothing, STDIN_FILENO);
    if (rank_ == 0) ::fcntl(listener, F_SETFD, 0);
    if (rank_ != 0) ::dup2(nothing, STDOUT_FILENO);
    if (rank_ != 0) ::dup2(output, STDERR_FILENO);
    ::close(nothing);
    ::execve(arguments[0], arguments.data(), variables.data());
    ::_exit(127);
  }

  std::int64_t rank_;
  pid_t pid_ = -1;
  int output_ = -1;  // reading end of its stderr
  int status_ = -1;  // as waitpid gives it; -1 while it runs
  std::string text_;
};

using Processes = std::vector<std::unique_ptr<RankProcess>>;

// Reads what there is to read and waits a moment.
void listen_to(Processes& processes) {
  std::vector<pollfd> waiting;
  for (const auto& process : processes) waiting.push_back({.fd = process->output(), .events = POLLIN, .revents = 0});
  if (::poll(waiting.data(), waiting.size(), kGlanceMs) <= 0) return;
  for (std::size_t i = 0; i < processes.size(); ++i) {
    if (waiting[i].revents != 0) processes[i]->read_output();
  }
}

// Runs all to their end; returns them in the order in which they ended.
std::vector<const RankProcess*> wait_for(Processes& processes, double timeout_seconds) {
  std::vector<const RankProcess*> ended;
  const auto tell_all = [&](int number) {
    for (const auto& process : processes) process->signal(number);
  };
  int told = 0;
  Clock::time_point first_loss = Clock::time_point::max();
  while (ended.size() < processes.size()) {
    listen_to(processes);
    for (const auto& process : processes) {
      if (!process->has_just_ended()) continue;
      ended.push_back(process.get());
      if (process->exit_code() != 0) first_loss = std::min(first_loss, Clock::now());
    }
    if (const int stop = stop_requested(); stop != 0 && told == 0) tell_all(told = stop);
    const std::chrono::duration<double> since =
        first_loss == Clock::time_point::max() ? Clock::duration::zero() : Clock::now() - first_loss;
    if (since.count() > kStopAfterSeconds && told == 0) tell_all(told = SIGTERM);
    if (since.count() > timeout_seconds + kKillAfterSeconds) tell_all(SIGKILL);
  }
  for (const auto& process : processes) {
    while (process->output() >= 0) process->read_output();
  }
  return ended;
}

ErrorKind kind_of(const RankProcess& process) {
  if (process.is_killed()) return ErrorKind::network;
  switch (process.exit_code()) {
    case 2:
      return ErrorKind::config;
    case 3:
      return ErrorKind::data;
    case 4:
      return ErrorKind::diverged;
    case 70:
      return ErrorKind::internal;
    default:
      return ErrorKind::network;
  }
}

// The one that ended for a reason of its own, not because another was lost; the first one if nobody did.
const RankProcess& cause_of(const std::vector<const RankProcess*>& failed) {
  const int lost_another = Error(ErrorKind::network, "").exit_code();
  const auto own =
      std::ranges::find_if(failed, [&](const auto* process) { return process->exit_code() != lost_another; });
  return own == failed.end() ? *failed.front() : **own;
}

void show_output(const RankProcess& process) {
  std::istringstream lines(process.text());
  for (std::string line; std::getline(lines, line);) fmt::print(stderr, "rank {}: {}\n", process.rank(), line);
}

}  // namespace

int run_ranks(Launch launch) {
  Processes processes;
  for (std::int64_t rank = 0; rank < launch.processes; ++rank) {
    processes.push_back(std::make_unique<RankProcess>(launch, rank));
  }
  launch.listener.reset();  // rank 0 has it: when that ends, nobody is met there any more
  const auto ended = wait_for(processes, launch.timeout_seconds);
  const int code = processes.front()->exit_code();
  if (std::ranges::all_of(ended, [code](const auto* process) { return process->exit_code() == code; })) return code;
  std::vector<const RankProcess*> failed;
  std::ranges::copy_if(ended, std::back_inserter(failed),
                       [](const auto* process) { return process->exit_code() != 0; });
  const auto& cause = cause_of(failed);
  if (cause.rank() == 0 && !cause.is_killed()) return cause.exit_code();  // it has said why
  for (const auto* process : failed) show_output(*process);
  std::string others;
  for (const auto* process : failed) {
    if (process != &cause) others += fmt::format("; rank {} {}", process->rank(), process->end());
  }
  fail(kind_of(cause), "rank {} of {} (pid {}) {}{}", cause.rank(), launch.processes, cause.pid(), cause.end(), others);
}

}  // namespace melisma
