#include "tools/base/scratch_folder.h"

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <system_error>

#include "tools/base/error.h"

namespace melisma {
namespace fs = std::filesystem;

ScratchFolder::ScratchFolder() {
  auto pattern = (fs::temp_directory_path() / "melisma-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    fail(ErrorKind::device, "cannot make a folder in '{}'", fs::temp_directory_path().string());
  }
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace melisma
