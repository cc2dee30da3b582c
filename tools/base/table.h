// Named tables: constexpr rows of {name, summary, ...}, looked up by name with did-you-mean.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/base/error.h"

namespace melisma {

// Up to three of `known` nearest to `name` by edit distance (transpositions count once), best first; empty if none is
// near.
[[nodiscard]] std::vector<std::string> nearest_names(std::string_view name, std::span<const std::string> known);

// "unknown pitch method 'rmpve'; did you mean 'rmvpe'? known: ..."; what = "pitch method".
[[nodiscard]] std::string unknown_name_message(std::string_view what, std::string_view name,
                                               std::span<const std::string> known);

// The row of `table` (any range of rows with a .name) called `name`; throws Error(kind) with did-you-mean if there is
// none.
template <class Table>
[[nodiscard]] const auto& find_row(const Table& table, std::string_view name, std::string_view what,
                                   ErrorKind kind = ErrorKind::config) {
  for (const auto& row : table) {
    if (row.name == name) return row;
  }
  std::vector<std::string> known;
  for (const auto& row : table) known.emplace_back(row.name);
  throw Error(kind, unknown_name_message(what, name, known));
}

}  // namespace melisma
