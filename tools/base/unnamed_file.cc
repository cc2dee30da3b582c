#include "tools/base/unnamed_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "tools/base/atomic_file.h"

namespace melisma {
namespace fs = std::filesystem;

UnnamedFile unnamed_file_beside(const fs::path& path) {
  const auto folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  int descriptor = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0) {  // not every file system has files without names
    auto name = (folder / ".melisma-XXXXXX").string();
    descriptor = ::mkostemp(name.data(), O_CLOEXEC);
    if (descriptor >= 0) ::unlink(name.c_str());
  }
  std::FILE* file = descriptor < 0 ? nullptr : ::fdopen(descriptor, "w+b");
  if (file == nullptr) {
    const int code = errno;
    if (descriptor >= 0) ::close(descriptor);
    fail_to_write(path, code);
  }
  return UnnamedFile(file);
}

}  // namespace melisma
