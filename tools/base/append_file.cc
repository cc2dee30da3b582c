#include "tools/base/append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tools/base/error.h"

namespace melisma {
namespace {

[[noreturn]] void fail_append(const std::filesystem::path& path, int code) {
  fail(ErrorKind::device, "cannot write '{}': {}", path.string(),
       code == ENOSPC || code == EDQUOT ? "the disk is full; free space or name another folder" : std::strerror(code));
}

}  // namespace

AppendFile::AppendFile(std::filesystem::path path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail_append(path_, errno);
}

AppendFile::~AppendFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void AppendFile::append(std::string_view piece) {
  const auto before = ::lseek(descriptor_, 0, SEEK_END);
  ssize_t written = 0;
  do {
    written = ::write(descriptor_, piece.data(), piece.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(piece.size())) return;
  const int code = written < 0 ? errno : ENOSPC;
  if (before >= 0 && ::ftruncate(descriptor_, before) != 0) fail_append(path_, errno);
  fail_append(path_, code);
}

void AppendFile::sync() {
  if (::fsync(descriptor_) != 0 && errno != EINVAL) fail_append(path_, errno);
}

}  // namespace melisma
