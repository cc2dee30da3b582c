#include "tools/base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include "tools/base/error.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

// What a person can do about a failed write.
std::string advice_for(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return "the disk is full; free space or name another folder";
    case EACCES:
    case EPERM:
    case EROFS:
      return "the folder is not writable; change its permissions or name another folder";
    case ENOENT:
      return "the folder does not exist; create it first";
    default:
      return std::strerror(code);
  }
}

class FileHandle {
 public:
  FileHandle(const fs::path& path, int flags) : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~FileHandle() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }
  // Closes early so that the error of a delayed write is seen; 0 or errno.
  int close() {
    const int result = ::close(descriptor_) == 0 ? 0 : errno;
    descriptor_ = -1;
    return result;
  }

 private:
  int descriptor_;
};

void sync_path(const fs::path& path, int flags) {
  FileHandle handle(path, flags);
  if (handle.get() < 0 || ::fsync(handle.get()) != 0) fail_to_write(path, errno);
}

void sync_parent(const fs::path& path) {
  const auto folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  sync_path(folder, O_RDONLY | O_DIRECTORY);
}

// Unique among threads too: two of them may write the same file at once.
fs::path temporary_name(const fs::path& path) {
  static std::atomic<unsigned> count{0};
  auto name = path;
  name += fmt::format(".{}{:06}.tmp", ::getpid(), count++ % 1000000);
  return name;
}

// Writes `temporary`; errors name `path`, which it is to become.
void write_all(const fs::path& temporary, const fs::path& path, std::span<const std::byte> content) {
  FileHandle file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  if (file.get() < 0) fail_to_write(path, errno);
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t written = ::write(file.get(), content.data() + done, content.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_to_write(path, errno);
    done += static_cast<std::size_t>(written);
  }
  if (const int code = file.close(); code != 0) fail_to_write(path, code);
}

void move_into_place(const fs::path& temporary, const fs::path& path) {
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail_to_write(path, errno);
  sync_parent(path);
}

}  // namespace

void require_writable(const fs::path& path) {
  const auto folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (::access((folder / "").c_str(), W_OK | X_OK) != 0) fail_to_write(path, errno);
}

void make_folders(const fs::path& folder, std::string_view advice) {
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) {
    fail(ErrorKind::device, "cannot make the folder '{}': {}; {}", folder.string(), problem.message(), advice);
  }
}

void fail_to_write(const fs::path& path, int code) {
  fail(ErrorKind::device, "cannot write '{}': {}", path.string(), advice_for(code));
}

void write_file_atomically(const fs::path& path, std::span<const std::byte> content) {
  write_file_atomically(path, [&](const fs::path& temporary) { write_all(temporary, path, content); });
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  write_file_atomically(path, std::as_bytes(std::span(content)));
}

void write_file_atomically(const fs::path& path, const std::function<void(const fs::path&)>& write) {
  const auto temporary = temporary_name(path);
  std::error_code ignored;
  try {
    write(temporary);
    sync_path(temporary, O_RDONLY);
    move_into_place(temporary, path);
  } catch (Error& error) {
    fs::remove(temporary, ignored);
    error.rename(temporary.string(), path.string());
    throw;
  } catch (...) {
    fs::remove(temporary, ignored);
    throw;
  }
}

void write_folder_atomically(const fs::path& path, const std::function<void(const fs::path&)>& fill) {
  const auto temporary = temporary_name(path);
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
  try {
    if (::mkdir(temporary.c_str(), 0755) != 0) fail_to_write(path, errno);
    fill(temporary);
    for (const auto& entry : fs::recursive_directory_iterator(temporary)) {
      if (entry.is_regular_file()) sync_path(entry.path(), O_RDONLY);
    }
    sync_path(temporary, O_RDONLY | O_DIRECTORY);
    auto retired = temporary;
    retired += ".old";
    if (fs::exists(path)) fs::rename(path, retired);
    move_into_place(temporary, path);
    fs::remove_all(retired, ignored);
  } catch (Error& error) {
    fs::remove_all(temporary, ignored);
    error.rename(temporary.string(), path.string());
    throw;
  } catch (...) {
    fs::remove_all(temporary, ignored);
    throw;
  }
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ErrorKind::data, "cannot read '{}': {}", path.string(), std::strerror(errno));
  if (fs::is_directory(path)) fail(ErrorKind::data, "cannot read '{}': it is a folder", path.string());
  std::ostringstream content;
  content << file.rdbuf();
  return std::move(content).str();
}

std::uintmax_t free_bytes_at(const fs::path& path) {
  auto existing = fs::absolute(path);
  while (!fs::exists(existing) && existing.has_parent_path() && existing != existing.root_path()) {
    existing = existing.parent_path();
  }
  return fs::space(existing).available;
}

}  // namespace melisma
