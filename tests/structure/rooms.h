// The rooms of the house, in the order of the table.
#pragma once
#include <algorithm>
#include <array>
#include <string_view>

namespace melisma {

inline constexpr auto kRooms =
    std::to_array<std::string_view>({"tools", "data", "models", "infer", "eval", "train", "experiments", "tests"});
[[nodiscard]] inline bool is_room_name(std::string_view folder) {
  return std::ranges::find(kRooms, folder) != kRooms.end();
}

}  // namespace melisma
