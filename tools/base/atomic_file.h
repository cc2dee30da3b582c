// Files that are either the old ones or the new ones, whole, whatever happens in between.
#pragma once
#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace melisma {

// Writes `content` to a temporary file beside `path`, fsyncs it, renames it over `path` and fsyncs the folder.
// Throws Error(device) naming path, cause and what to do (disk full, permission, missing folder).
void write_file_atomically(const std::filesystem::path& path, std::string_view content);
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> content);

// The same for a file that `write` makes itself under the temporary name it is given (removed if it throws).
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(const std::filesystem::path& temporary)>& write);

// The same for a whole folder: `fill` populates a temporary folder, every file and the folder are fsynced, then it is
// renamed. An existing folder at `path` is replaced only after the new one is complete.
void write_folder_atomically(const std::filesystem::path& path,
                             const std::function<void(const std::filesystem::path& temporary)>& fill);

// Throws Error(device): cannot write `path`, the cause `code` (an errno), and what to do about it.
[[noreturn]] void fail_to_write(const std::filesystem::path& path, int code);

// The whole content of a file; throws Error(data) with the cause.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);

// Free bytes a user may still write where `path` is or will be.
[[nodiscard]] std::uintmax_t free_bytes_at(const std::filesystem::path& path);

}  // namespace melisma
