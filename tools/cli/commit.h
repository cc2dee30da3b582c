// Which commit the program was built from.
#pragma once

namespace melisma {

// Forty hex digits; "unknown" if it was built outside a git repository. Changes that were not committed do not show.
[[nodiscard]] const char* program_commit();

}  // namespace melisma
