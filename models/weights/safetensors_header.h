// The JSON header of a .safetensors file, parsed without trust: duplicates, other types and nesting are refused.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace melisma {

struct SafetensorsEntry {
  std::string name;
  std::string type;                 // "F32", not yet checked
  std::vector<std::int64_t> shape;  // each at least 0
  std::uint64_t begin = 0, end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of the text
  std::map<std::string, std::string> metadata;
};

// Throws Error(checkpoint) with the reason.
[[nodiscard]] SafetensorsHeader parse_safetensors_header(std::string_view text);

}  // namespace melisma
