#include "tools/actions/edit_info_action.h"

#include <fmt/format.h>

#include "models/weights/model_info.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

std::vector<InfoChange> changes_of(const EditInfoOptions& options) {
  std::vector<InfoChange> changes;
  for (const auto& text : options.sets) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      fail(ErrorKind::usage, "'{}' is not KEY=VALUE; author=Someone is", text);
    }
    changes.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  for (const auto& key : options.removes) changes.push_back({key, std::nullopt});
  if (changes.empty()) fail(ErrorKind::usage, "nothing is to be changed; --set author=Someone and --remove author do");
  return changes;
}

}  // namespace

int edit_info(const EditInfoOptions& options) {
  const auto changes = changes_of(options);
  if (options.in_place == !options.output.empty()) {
    fail(ErrorKind::usage, "say where to write: -o FILE, or --in-place for '{}' itself", options.file.string());
  }
  const auto& output = options.in_place ? options.file : options.output;
  if (!std::filesystem::is_regular_file(options.file)) {
    fail(ErrorKind::usage, "no such model file: '{}'", options.file.string());
  }
  edit_model_info(options.file, output, changes);
  for (const auto& [key, value] : changes) {
    fmt::print("{}: {} {}\n", output.string(), key, value ? "= " + *value : "removed");
  }
  return 0;
}

}  // namespace melisma
