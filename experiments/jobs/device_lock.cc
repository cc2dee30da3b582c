#include "experiments/jobs/device_lock.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr auto kPause = std::chrono::milliseconds(50);

bool is_number(std::string_view text) {
  return !text.empty() && text.size() < 4 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_one_device(std::string_view text) {
  return text == "cpu" || (text.starts_with("cuda:") && is_number(text.substr(5)));
}

// A folder of this user alone in the one that all users share.
fs::path lock_folder() {
  const auto folder = fs::temp_directory_path() / fmt::format("melisma-{}", ::getuid());
  ::mkdir(folder.c_str(), 0700);
  struct stat found {};
  if (::lstat(folder.c_str(), &found) != 0 || !S_ISDIR(found.st_mode) || found.st_uid != ::getuid()) {
    fail(ErrorKind::device,
         "'{}' is to hold the locks of devices, but is no folder of this user; set TMPDIR to another", folder.string());
  }
  return folder;
}

struct Holder {
  ProcessIdentity worker, job;
  std::string workspace;
};

Json json_of(const ProcessIdentity& process) { return Json::array({process.pid, process.start_ticks}); }

ProcessIdentity identity_of(const Json& json) { return {json.at(0).get<pid_t>(), json.at(1).get<std::uint64_t>()}; }

// Empty where the holder has not written its name yet.
Holder read_holder(const fs::path& path) {
  try {
    const auto json = Json::parse(read_file(path));
    return {identity_of(json.at("worker")), identity_of(json.at("job")), json.at("workspace").get<std::string>()};
  } catch (const std::exception&) {
    return {};
  }
}

}  // namespace

std::string worker_device(std::string_view text) {
  if (is_one_device(text)) return std::string(text);
  fail(ErrorKind::usage, "'{}' is no device of a worker; name cpu, cuda:0, cuda:1, ...", text);
}

std::string job_device(std::string_view text) {
  if (text.empty() || text == "cuda" || is_one_device(text)) return std::string(text);
  fail(ErrorKind::usage, "'{}' is no device; name cpu, cuda (any GPU), or one GPU: cuda:0, cuda:1, ...", text);
}

std::string visible_gpus(std::string_view device) {
  return std::string(device.starts_with("cuda:") ? device.substr(5) : "");
}

void kill_group(const ProcessIdentity& leader) {
  if (leader.pid <= 1) return;
  const auto now = ProcessIdentity::of(leader.pid);
  if (now.pid != 0 && now != leader) return;
  ::kill(-leader.pid, SIGKILL);
}

DeviceLock::DeviceLock(FileLock lock, std::string device, fs::path workspace)
    : lock_(std::move(lock)), device_(std::move(device)), workspace_(std::move(workspace)) {
  note_job(0);
}

void DeviceLock::note_job(pid_t group) const {
  const Json holder{{"worker", json_of(ProcessIdentity::of(::getpid()))},
                    {"job", json_of(group == 0 ? ProcessIdentity{} : ProcessIdentity::of(group))},
                    {"workspace", workspace_.string()}};
  lock_.write(holder.dump());
}

DeviceLock DeviceLock::take(const std::string& device, const fs::path& workspace, double grace_seconds) {
  auto name = device;
  std::ranges::replace(name, ':', '-');
  const auto path = lock_folder() / ("device-" + name + ".lock");
  const auto begin = std::chrono::steady_clock::now();
  for (bool is_killed = false;; std::this_thread::sleep_for(kPause)) {
    if (auto lock = FileLock::try_take(path)) return {std::move(*lock), device, workspace};
    const auto holder = read_holder(path);
    if (holder.worker.is_alive()) {
      fail(ErrorKind::device,
           "{} is held by the worker of process {} for workspace '{}'; one worker has a device at a time", device,
           holder.worker.pid, holder.workspace);
    }
    if (const int signal = stop_requested(); signal != 0) throw Error::interrupted(signal, "no job was taken");
    // Its worker is gone: what is left is the job, which was told to save and end when the worker went.
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
    if (waited.count() < grace_seconds) continue;
    if (is_killed && waited.count() > 2 * grace_seconds + 5) {
      fail(ErrorKind::device, "{} is held by a process that worker {} left behind and that cannot be killed: {}",
           device, holder.worker.pid, path.string());
    }
    kill_group(holder.job);
    is_killed = true;
  }
}

}  // namespace melisma
