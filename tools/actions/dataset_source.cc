#include "tools/actions/dataset_source.h"

#include <algorithm>
#include <string>
#include <vector>

#include "tools/base/error.h"
#include "tools/base/table.h"

namespace melisma {
namespace fs = std::filesystem;

fs::path dataset_path(const fs::path& workspace, std::string_view name_or_file) {
  const fs::path given(name_or_file);
  if (fs::is_regular_file(given)) return fs::absolute(given).lexically_normal();
  const auto folder = workspace / "datasets";
  const auto named = folder / fmt::format("{}.h5", name_or_file);
  if (fs::is_regular_file(named)) return fs::absolute(named).lexically_normal();
  if (given.has_parent_path() || given.extension() == ".h5") {
    fail(ErrorKind::data, "there is no dataset file '{}'", given.string());
  }
  std::vector<std::string> known;
  std::error_code none;
  for (const auto& item : fs::directory_iterator(folder, none)) {
    if (item.path().extension() == ".h5") known.push_back(item.path().stem().string());
  }
  std::sort(known.begin(), known.end());
  if (known.empty()) {
    fail(ErrorKind::data, "no dataset '{}': the workspace '{}' has none yet; melisma prepare makes one", name_or_file,
         workspace.string());
  }
  throw Error(ErrorKind::data, unknown_name_message("dataset", name_or_file, known));
}

}  // namespace melisma
