// Text for a web page: escaping, numbers, embedded files.
#pragma once
#include <string>
#include <string_view>

namespace melisma {

// & < > " ' replaced, so that any text is safe inside elements and quoted attributes.
[[nodiscard]] std::string html_escaped(std::string_view text);

// "data:image/png;base64,..."
[[nodiscard]] std::string data_uri(std::string_view media_type, std::string_view bytes);

// Four significant digits, "none" for what is not finite.
[[nodiscard]] std::string html_number(double value);

}  // namespace melisma
