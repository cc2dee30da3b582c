#include "tools/base/table.h"

#include <algorithm>

namespace melisma {
namespace {

// Optimal string alignment distance, O(n m) time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, substitute});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::vector<std::string> nearest_names(std::string_view name, std::span<const std::string> known) {
  const std::size_t limit = std::max<std::size_t>(1, std::min<std::size_t>(3, name.size() / 2));
  std::vector<std::pair<std::size_t, std::string>> near;
  for (const auto& candidate : known) {
    const std::size_t distance = edit_distance(name, candidate);
    const bool is_prefix = name.size() >= 3 && candidate.compare(0, name.size(), name) == 0;
    if (distance <= limit || is_prefix) near.emplace_back(std::min(distance, limit), candidate);
  }
  std::stable_sort(near.begin(), near.end(), [](const auto& x, const auto& y) { return x.first < y.first; });
  std::vector<std::string> names;
  for (std::size_t i = 0; i < near.size() && i < 3; ++i) names.push_back(near[i].second);
  return names;
}

std::string unknown_name_message(std::string_view what, std::string_view name, std::span<const std::string> known) {
  std::string message = fmt::format("unknown {} '{}'", what, name);
  const auto near = nearest_names(name, known);
  if (!near.empty()) message += fmt::format("; did you mean '{}'?", fmt::join(near, "' or '"));
  if (!known.empty()) message += fmt::format("{} known: {}", near.empty() ? ";" : "", fmt::join(known, ", "));
  return message;
}

}  // namespace melisma
