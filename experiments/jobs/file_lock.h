// A lock on a file that the kernel takes back when the last process that has it is gone, however that comes about.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace melisma {

// Held through an open file (flock), which a fork of the process has, too, and which a program that it starts has if it
// is told to keep it: the lock is free when all of them have ended.
class FileLock {
 public:
  // Nothing if another process has it. The file and its folder are made if absent. Throws Error(device).
  [[nodiscard]] static std::optional<FileLock> try_take(const std::filesystem::path& path);
  // Whether it could be taken.
  [[nodiscard]] static bool is_free(const std::filesystem::path& path);
  ~FileLock();
  FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  // Programs that this process starts from now on keep the lock.
  void keep_across_exec() const;
  // What the file says, for whoever finds it locked.
  void write(std::string_view text) const;

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace melisma
