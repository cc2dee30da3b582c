// What a run may be called.
#pragma once
#include <string_view>

namespace melisma {

// Error(usage) unless `name` is of letters, digits, '-', '_' and '.', which does not come first.
void check_run_name(std::string_view name);

}  // namespace melisma
