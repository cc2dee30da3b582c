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

// The same for a file that `write` makes itself under the temporary name it is given (removed if it throws). An Error
// of `write` that names the temporary file comes out naming `path`.
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(const std::filesystem::path& temporary)>& write);

// The same for a whole folder: `fill` populates a temporary folder, every file and the folder are fsynced, then it is
// renamed. An existing folder at `path` is replaced only after the new one is complete.
void write_folder_atomically(const std::filesystem::path& path,
                             const std::function<void(const std::filesystem::path& temporary)>& fill);

// Throws what write_file_atomically would if the folder of `path` is missing or not writable, before any work is done.
void require_writable(const std::filesystem::path& path);

// Makes a folder and those on the way to it; throws Error(device) with the cause and `advice`: what to do.
void make_folders(const std::filesystem::path& folder, std::string_view advice);

// Throws Error(device): cannot write `path`, the cause `code` (an errno), and what to do about it.
[[noreturn]] void fail_to_write(const std::filesystem::path& path, int code);

// The whole content of a file; throws Error(data) with the cause.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);

// Free bytes a user may still write where `path` is or will be.
[[nodiscard]] std::uintmax_t free_bytes_at(const std::filesystem::path& path);

}  // namespace melisma
