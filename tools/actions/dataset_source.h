// Which dataset a command means: a name in the workspace or a file.
#pragma once
#include <filesystem>
#include <string_view>

namespace melisma {

// `name_or_file` as a file if it is one, otherwise <workspace>/datasets/<name>.h5. Throws Error(data) with did-you-mean
// and what there is.
[[nodiscard]] std::filesystem::path dataset_path(const std::filesystem::path& workspace, std::string_view name_or_file);

}  // namespace melisma
