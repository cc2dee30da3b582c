// Wall-clock time as text.
#pragma once
#include <string>

namespace melisma {

// The current time in UTC: "2026-01-31T12:34:56Z".
[[nodiscard]] std::string utc_now();
// The same of a time in seconds since 1970.
[[nodiscard]] std::string utc_text(double seconds);

}  // namespace melisma
