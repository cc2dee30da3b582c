// Disks that are nearly full or may not be written, where this process may mount them.
#pragma once
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "tests/support/golden.h"

namespace melisma::testing {

// A file system of its own in a temporary folder, gone with this object. Ask is_mounted() first:
//   if (!disk.is_mounted()) GTEST_SKIP() << SmallDisk::kWhyNot;
class SmallDisk {
 public:
  static constexpr const char* kWhyNot = "this process may not mount a small disk";

  // `size` as tmpfs takes it: "64k", "4m".
  explicit SmallDisk(const std::string& size = "64k") {
    is_mounted_ = ::mount("none", path().c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (is_mounted_) ::umount2(path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  [[nodiscard]] bool is_mounted() const { return is_mounted_; }
  bool make_read_only() { return ::mount("none", path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "") == 0; }
  // Fills what room is left with the file `name`, which grows when asked again.
  void fill_up(std::string_view name) const {
    const int file = ::open((path() / name).c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    const std::string block(4096, 'x');
    while (::write(file, block.data(), block.size()) > 0) {
    }
    ::close(file);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return folder_ / name; }

 private:
  TemporaryFolder folder_;
  bool is_mounted_ = false;
};

// A folder in which nothing can be made, whoever runs the test: its permissions forbid it, and for root, whom they do
// not bind, its file system. Ask is_locked() first.
class LockedFolder {
 public:
  LockedFolder() : is_root_(::geteuid() == 0), disk_("64m") {
    is_locked_ = is_root_ ? disk_.is_mounted() && disk_.make_read_only() : ::chmod(path().c_str(), 0555) == 0;
  }
  ~LockedFolder() {
    if (!is_root_) ::chmod(path().c_str(), 0755);
  }
  LockedFolder(const LockedFolder&) = delete;
  LockedFolder& operator=(const LockedFolder&) = delete;
  [[nodiscard]] bool is_locked() const { return is_locked_; }
  // Why nothing can be made there, as the system says it.
  [[nodiscard]] std::string reason() const { return is_root_ ? "Read-only file system" : "Permission denied"; }
  [[nodiscard]] const std::filesystem::path& path() const { return disk_.path(); }
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return disk_ / name; }

 private:
  bool is_root_, is_locked_ = false;
  SmallDisk disk_;
};

}  // namespace melisma::testing
