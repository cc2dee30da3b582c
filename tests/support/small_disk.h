// Disks that are nearly full or may not be written, where this process may mount them.
#pragma once
#include <fcntl.h>
#include <sys/mount.h>
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
  // Fills what room is left with the file `name`.
  void fill_up(std::string_view name) const {
    const int file = ::open((path() / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
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

}  // namespace melisma::testing
