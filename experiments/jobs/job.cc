#include "experiments/jobs/job.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/table.h"

namespace melisma {
namespace {

constexpr double kLongestDelaySeconds = 3600;

// Usage, data and divergence come out the same the next time (tools/base/error.h).
bool may_pass(int exit_code) { return exit_code != 2 && exit_code != 3 && exit_code != 4; }

std::string words_for_end(int exit_code) {
  if (exit_code <= 128) return fmt::format("exit code {}", exit_code);
  const char* name = ::sigabbrev_np(exit_code - 128);
  return name == nullptr ? fmt::format("exit code {}", exit_code) : fmt::format("ended by SIG{} ({})", name, exit_code);
}

}  // namespace

std::string_view name_of(JobState state) {
  for (const auto& row : kJobStates) {
    if (row.state == state) return row.name;
  }
  return "";
}

JobState job_state_named(std::string_view name) {
  return find_row(kJobStates, name, "job state", ErrorKind::usage).state;
}

// Fields of /proc/<pid>/stat: the third is the state, the 22nd the start; the second is a name that may hold anything.
ProcessIdentity ProcessIdentity::of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text, '\0');
  const auto after_name = text.rfind(')');
  if (after_name == std::string::npos) return {};
  std::istringstream fields(text.substr(after_name + 1));
  std::string state, skipped;
  fields >> state;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  ProcessIdentity identity{.pid = pid};
  fields >> identity.start_ticks;
  if (!fields || state == "Z" || state == "X") return {};
  return identity;
}

bool ProcessIdentity::is_alive() const { return pid > 0 && of(pid) == *this; }

JobVerdict judge(const Job& job, const JobEnd& end) {
  if (end.is_known && end.exit_code == 0) return {.state = JobState::done};
  if (job.is_cancelling) return {.state = JobState::cancelled, .reason = "cancelled while it ran"};
  if (!end.is_known) return {.reason = "its processes ended without a word; it goes on from where it had got to"};
  if (end.was_stopped) return {.reason = "its worker was stopped; it goes on from where it had got to"};
  const auto how = words_for_end(end.exit_code);
  const auto n_failures = job.failures + 1;
  if (!may_pass(end.exit_code) || n_failures > job.request.retries) {
    const auto tried = n_failures > 1 ? fmt::format(", try {}", n_failures) : "";
    return {.state = JobState::failed, .reason = how + tried, .is_failure = true};
  }
  const double delay =
      std::min(kLongestDelaySeconds, job.request.backoff_seconds * std::pow(2.0, static_cast<double>(n_failures - 1)));
  return {.state = JobState::queued,
          .reason = fmt::format("{}; try {} of {} after {}", how, n_failures + 1, job.request.retries + 1,
                                format_seconds(delay)),
          .is_failure = true,
          .delay_seconds = delay};
}

}  // namespace melisma
