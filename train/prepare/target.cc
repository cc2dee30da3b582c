#include "train/prepare/target.h"

#include "data/sets/dataset.h"
#include "tools/base/error.h"

namespace melisma {
namespace fs = std::filesystem;

std::optional<bool> holds_content(const fs::path& path, const std::string& content_hash) {
  if (!fs::exists(path)) return std::nullopt;
  try {
    return Dataset::open_any(path).content_hash() == content_hash;
  } catch (const Error&) {
    return false;
  }
}

void check_target(const fs::path& path, const std::string& content_hash, bool force) {
  if (holds_content(path, content_hash).value_or(true) || force) return;
  fail(ErrorKind::usage,
       "there is already a dataset '{}' of other recordings or settings; choose another --name, or replace it with "
       "--force",
       path.string());
}

}  // namespace melisma
