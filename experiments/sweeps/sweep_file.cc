#include "experiments/sweeps/sweep_file.h"

#include <algorithm>

#include "tools/base/atomic_file.h"
#include "tools/config/config.h"

namespace melisma {
namespace {

// The text without its table [over], line for line: its keys are those of the recipe.
std::string without_over(const std::string& toml) {
  std::string kept;
  bool is_over = false;
  for (std::size_t begin = 0; begin < toml.size();) {
    const auto end = std::min(toml.find('\n', begin), toml.size() - 1) + 1;
    const auto line = toml.substr(begin, end - begin);
    const auto first = line.find_first_not_of(" \t");
    if (first != std::string::npos && line[first] == '[') {
      is_over = line.compare(first, 6, "[over]") == 0 || line.compare(first, 6, "[over.") == 0;
    }
    kept += is_over ? "\n" : line;
    begin = end;
  }
  return kept;
}

}  // namespace

SweepFile read_sweep_file(const std::filesystem::path& file, std::span<const std::string> overrides) {
  SweepSettings settings;
  auto schema = schema_of(settings);
  const auto text = file.empty() ? std::string() : read_file(file);
  auto keys = search_keys_of_toml(text, file.string());  // also says so if the file is no TOML
  configure_from_text(schema, without_over(text), file.string(), overrides);
  return {settings.sweep, std::move(keys)};
}

}  // namespace melisma
