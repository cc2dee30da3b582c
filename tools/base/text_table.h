// Columns of text for a console.
#pragma once
#include <string>
#include <vector>

namespace melisma {

// Rows as lines whose cells start in the same columns, two spaces apart; the first row is the heading. Cells that look
// like numbers are set flush right. Rows may be shorter than the heading.
[[nodiscard]] std::string text_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace melisma
