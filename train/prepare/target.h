// The file that a preparation writes: absent, the same already, or something that only --force may replace.
#pragma once
#include <filesystem>
#include <optional>
#include <string>

namespace melisma {

// Whether the dataset at `path` has this content; nothing if there is no file.
[[nodiscard]] std::optional<bool> holds_content(const std::filesystem::path& path, const std::string& content_hash);

// Throws Error(usage) if a dataset of other content is there and may not be replaced.
void check_target(const std::filesystem::path& path, const std::string& content_hash, bool force);

}  // namespace melisma
