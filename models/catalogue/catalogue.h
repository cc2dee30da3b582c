// The catalogue of published weights: a row is a name, what it is for, its licence, and its files with size and
// SHA-256.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace melisma {

struct CatalogueFile {
  std::string path;               // in the folder of weights: "rmvpe.pt", "contentvec/config.json"
  std::vector<std::string> urls;  // http or https, tried in order; empty for a file that only its owner has
  std::uint64_t size = 0;         // bytes
  std::string sha256;             // 64 lower-case hex digits
};

struct CatalogueEntry {
  std::string name, summary, licence;
  std::vector<CatalogueFile> files;
  bool is_own = false;  // from the user's catalogue
  [[nodiscard]] std::uint64_t size() const;
};

// Rows of a catalogue in TOML:
//   [[model]]
//   name = "rmvpe"
//   summary = "pitch of voices over music"
//   licence = "MIT"
//   [[model.file]]
//   path = "rmvpe.pt"
//   urls = ["https://…"]
//   size = 181184272
//   sha256 = "6d62…"
// Throws Error(config) with every problem on its line of `source`: unknown or missing keys, a name or path twice, a
// path that leaves the folder, what is no URL, no SHA-256, no size.
[[nodiscard]] std::vector<CatalogueEntry> read_catalogue(std::string_view toml, const std::string& source);
[[nodiscard]] std::string to_toml(const std::vector<CatalogueEntry>& entries);

// The catalogue that comes with the program.
[[nodiscard]] const std::vector<CatalogueEntry>& shipped_catalogue();
// The user's own: catalogue.toml in the folder of weights.
[[nodiscard]] std::filesystem::path own_catalogue_path();
// The user's rows, then those of the program that no row of the user replaces by name.
[[nodiscard]] std::vector<CatalogueEntry> whole_catalogue();
// Adds a row to the user's catalogue. Throws Error(usage) if the name is taken and `is_replacing` is not set.
void add_to_own_catalogue(const CatalogueEntry& entry, bool is_replacing);

enum class FileState { absent, present, other_size, other_content };
// What lies where the file belongs. `is_thorough` reads it all; otherwise only its size is looked at.
[[nodiscard]] FileState state_of(const CatalogueFile& file, bool is_thorough);

// "; melisma models fetch rmvpe (173 MiB) gets it" for the name of a file or folder that the catalogue has, otherwise
// empty: what an error about missing weights ends with.
[[nodiscard]] std::string how_to_fetch(std::string_view file_or_folder);

}  // namespace melisma
