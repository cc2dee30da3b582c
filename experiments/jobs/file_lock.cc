#include "experiments/jobs/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "tools/base/atomic_file.h"

namespace melisma {

std::optional<FileLock> FileLock::try_take(const std::filesystem::path& path) {
  make_folders(path.parent_path(), "name another --workspace");
  FileLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.descriptor_ < 0) fail_to_write(path, errno);
  if (::flock(lock.descriptor_, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) fail_to_write(path, errno);
  return std::nullopt;
}

bool FileLock::is_free(const std::filesystem::path& path) {
  return !std::filesystem::exists(path) || try_take(path).has_value();
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void FileLock::keep_across_exec() const { ::fcntl(descriptor_, F_SETFD, 0); }

void FileLock::write(std::string_view text) const {
  if (::ftruncate(descriptor_, 0) != 0) return;
  (void)!::pwrite(descriptor_, text.data(), text.size(), 0);
}

}  // namespace melisma
