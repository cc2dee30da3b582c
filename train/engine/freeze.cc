#include "train/engine/freeze.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "tools/base/error.h"
#include "tools/base/table.h"

namespace melisma {
namespace freeze_detail {
namespace {

std::vector<std::string> parts_of(std::string_view name) {
  std::vector<std::string> parts;
  for (;;) {
    const auto dot = name.find('.');
    parts.emplace_back(name.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    name.remove_prefix(dot + 1);
  }
}

// Whether `text` is `pattern` with any letters for each *.
bool matches(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() != '*') {
    return !text.empty() && pattern.front() == text.front() && matches(pattern.substr(1), text.substr(1));
  }
  for (std::size_t taken = 0; taken <= text.size(); ++taken) {
    if (matches(pattern.substr(1), text.substr(taken))) return true;
  }
  return false;
}

bool begins_with(const std::vector<std::string>& name, const std::vector<std::string>& pattern) {
  return pattern.size() <= name.size() && std::equal(pattern.begin(), pattern.end(), name.begin(), matches);
}

[[noreturn]] void refuse(const Module::NamedTensors& parameters, const std::string& pattern, std::string_view setting) {
  const auto depth = parts_of(pattern).size();
  std::set<std::string> beginnings;  // of names, as many parts as the pattern has
  for (const auto& [name, tensor] : parameters) {
    auto parts = parts_of(name);
    parts.resize(std::min(parts.size(), depth));
    beginnings.insert(fmt::format("{}", fmt::join(parts, ".")));
  }
  const std::vector<std::string> known(beginnings.begin(), beginnings.end());
  const auto nearest = nearest_names(pattern, known);
  if (!nearest.empty()) {
    fail(ErrorKind::config, "{}: no parameter is called '{}' or begins with it; did you mean '{}'?", setting, pattern,
         fmt::join(nearest, "' or '"));
  }
  constexpr std::size_t kMostShown = 8;
  const auto n_shown = std::min(known.size(), kMostShown);
  fail(ErrorKind::config, "{}: no parameter is called '{}' or begins with it; there are {}{}", setting, pattern,
       fmt::join(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(n_shown), ", "),
       n_shown < known.size() ? ", ..." : "");
}

}  // namespace
}  // namespace freeze_detail

std::vector<std::string> parameters_meant(const Module& module, const std::vector<std::string>& patterns,
                                          std::string_view setting) {
  using namespace freeze_detail;
  const auto parameters = module.parameters();
  std::set<std::string> meant;
  for (const auto& pattern : patterns) {
    const auto parts = parts_of(pattern);
    bool is_found = false;
    for (const auto& [name, tensor] : parameters) {
      if (!begins_with(parts_of(name), parts)) continue;
      is_found = true;
      meant.insert(name);
    }
    if (!is_found) refuse(parameters, pattern, setting);
  }
  if (!patterns.empty() && meant.size() == parameters.size()) {
    fail(ErrorKind::config, "{}: all {} parameters are frozen, nothing is left to train", setting, parameters.size());
  }
  std::vector<std::string> in_order;
  for (const auto& [name, tensor] : parameters) {
    if (meant.contains(name)) in_order.push_back(name);
  }
  return in_order;
}

}  // namespace melisma
