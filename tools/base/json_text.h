// JSON as files and terminals get it. Names and messages may come in any encoding: bytes that are no UTF-8 become
// U+FFFD, where the JSON library by itself would throw.
#pragma once
#include <string>

namespace melisma {

// On one line.
template <class Json>
[[nodiscard]] std::string json_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// On many, indented by two spaces.
template <class Json>
[[nodiscard]] std::string json_text(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace melisma
