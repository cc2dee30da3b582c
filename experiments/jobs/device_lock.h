// Which processor a worker has, and that nobody else has it.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "experiments/jobs/file_lock.h"
#include "experiments/jobs/job.h"

namespace melisma {

// "cpu" or "cuda:N", checked; Error(usage) otherwise.
[[nodiscard]] std::string worker_device(std::string_view text);
// What a job may ask for: that, "cuda" for any GPU, or "" for whatever is free. Error(usage) otherwise.
[[nodiscard]] std::string job_device(std::string_view text);
// What the environment variable CUDA_VISIBLE_DEVICES is for jobs on `device`: "1" for "cuda:1", "" for "cpu".
[[nodiscard]] std::string visible_gpus(std::string_view device);

// A device of this machine, held for a user's worker and the job that it runs. The lock lies in the folder for
// temporary files (TMPDIR, /tmp), so that workers of several workspaces see each other.
class DeviceLock {
 public:
  // Error(device) if a worker has it, with its process. A job left behind by a worker that was killed has
  // `grace_seconds` to save and end, then it is killed. Error(interrupted) if a stop is requested meanwhile.
  [[nodiscard]] static DeviceLock take(const std::string& device, const std::filesystem::path& workspace,
                                       double grace_seconds);
  // Notes the process group that runs a job on the device now.
  void note_job(pid_t group) const;
  [[nodiscard]] const FileLock& lock() const { return lock_; }
  [[nodiscard]] const std::string& device() const { return device_; }

 private:
  DeviceLock(FileLock lock, std::string device, std::filesystem::path workspace);
  FileLock lock_;
  std::string device_;
  std::filesystem::path workspace_;
};

// Kills what is left of a job's process group, unless its number is another process's by now.
void kill_group(const ProcessIdentity& leader);

}  // namespace melisma
