#include "models/catalogue/catalogue.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <catalogue_text.h>
#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <sstream>

#include "models/catalogue/weights_folder.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/hash.h"
#include "tools/base/table.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

// Reads one catalogue; problems are collected and thrown together.
class Reader {
 public:
  explicit Reader(const std::string& source) : source_(source) {}

  std::vector<CatalogueEntry> read(const toml::table& root) {
    check_keys(root, {"model"});
    std::vector<CatalogueEntry> entries;
    for (const auto* table : tables(root, "model")) entries.push_back(entry(*table));
    if (!problems_.empty()) throw Error(ErrorKind::config, fmt::format("{}", fmt::join(problems_, "\n")));
    return entries;
  }

 private:
  void problem(const toml::node& at, const std::string& text) {
    const auto begin = at.source().begin;
    problems_.push_back(fmt::format("{}:{}:{}: {}", source_, begin.line, begin.column, text));
  }

  void check_keys(const toml::table& table, std::initializer_list<std::string> known) {
    for (const auto& [key, value] : table) {
      if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
      problem(value, unknown_name_message("key", key.str(), std::vector<std::string>(known)));
    }
  }

  std::vector<const toml::table*> tables(const toml::table& from, std::string_view name) {
    std::vector<const toml::table*> found;
    const auto* node = from.get(name);
    if (node == nullptr) return found;
    if (!node->is_array_of_tables()) {
      problem(*node, fmt::format("'{}' must be an array of tables: [[{}]]", name, name));
      return found;
    }
    for (const auto& element : *node->as_array()) found.push_back(element.as_table());
    return found;
  }

  std::string text(const toml::table& table, std::string_view key) {
    const auto* node = table.get(key);
    const auto value = node == nullptr ? std::nullopt : node->value<std::string>();
    if (value && !value->empty()) return *value;
    problem(node == nullptr ? table : *node, fmt::format("'{}' must be a text that is not empty", key));
    return "";
  }

  CatalogueEntry entry(const toml::table& table) {
    check_keys(table, {"name", "summary", "licence", "file"});
    CatalogueEntry made{text(table, "name"), text(table, "summary"), text(table, "licence"), {}, false};
    if (!made.name.empty() && !names_.insert(made.name).second) {
      problem(table, fmt::format("'{}' is there twice", made.name));
    }
    for (const auto* one : tables(table, "file")) made.files.push_back(file(*one));
    if (made.files.empty()) problem(table, fmt::format("'{}' has no [[model.file]]", made.name));
    return made;
  }

  CatalogueFile file(const toml::table& table) {
    check_keys(table, {"path", "urls", "size", "sha256"});
    CatalogueFile made;
    made.path = text(table, "path");
    const fs::path path(made.path);
    if (path.is_absolute() || path.lexically_normal() != path || *path.begin() == "..") {
      problem(table, fmt::format("the path '{}' must stay inside the folder of weights", made.path));
    } else if (!paths_.insert(made.path).second) {
      problem(table, fmt::format("the path '{}' is there twice", made.path));
    }
    made.urls = urls(table);
    const auto size = table["size"].value<std::int64_t>().value_or(0);
    if (size < 1) problem(table, fmt::format("'{}' needs a 'size' in bytes", made.path));
    made.size = static_cast<std::uint64_t>(std::max<std::int64_t>(size, 0));
    made.sha256 = text(table, "sha256");
    if (made.sha256.size() != 64 || made.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
      problem(table, fmt::format("'{}' needs a 'sha256' of 64 lower-case hex digits", made.path));
    }
    return made;
  }

  std::vector<std::string> urls(const toml::table& table) {
    std::vector<std::string> made;
    const auto* node = table.get("urls");
    if (node == nullptr) return made;
    if (!node->is_array()) {
      problem(*node, "'urls' must be an array of texts");
      return made;
    }
    for (const auto& element : *node->as_array()) {
      made.push_back(element.value_or(std::string()));
      if (made.back().starts_with("https://") || made.back().starts_with("http://")) continue;
      problem(element, fmt::format("'{}' is no http or https URL", made.back()));
    }
    return made;
  }

  const std::string& source_;
  std::vector<std::string> problems_;
  std::set<std::string> names_, paths_;
};

std::string quoted(const std::string& text) {
  std::ostringstream out;
  out << toml::value<std::string>(text);
  return out.str();
}

}  // namespace

std::uint64_t CatalogueEntry::size() const {
  return std::accumulate(files.begin(), files.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const CatalogueFile& file) { return sum + file.size; });
}

std::vector<CatalogueEntry> read_catalogue(std::string_view text, const std::string& source) {
  try {
    return Reader(source).read(toml::parse(text, source));
  } catch (const toml::parse_error& error) {
    const auto begin = error.source().begin;
    fail(ErrorKind::config, "{}:{}:{}: {}", source, begin.line, begin.column, error.description());
  }
}

std::string to_toml(const std::vector<CatalogueEntry>& entries) {
  std::string text;
  for (const auto& entry : entries) {
    text += fmt::format("[[model]]\nname = {}\nsummary = {}\nlicence = {}\n", quoted(entry.name), quoted(entry.summary),
                        quoted(entry.licence));
    for (const auto& file : entry.files) {
      std::vector<std::string> urls;
      for (const auto& url : file.urls) urls.push_back(quoted(url));
      text += fmt::format("[[model.file]]\npath = {}\nurls = [{}]\nsize = {}\nsha256 = {}\n", quoted(file.path),
                          fmt::join(urls, ", "), file.size, quoted(file.sha256));
    }
    text += '\n';
  }
  return text;
}

const std::vector<CatalogueEntry>& shipped_catalogue() {
  static const auto entries = read_catalogue(kShippedCatalogue, "the shipped catalogue");
  return entries;
}

fs::path own_catalogue_path() { return weights_folder() / "catalogue.toml"; }

namespace {

std::vector<CatalogueEntry> own_catalogue() {
  const auto path = own_catalogue_path();
  if (!fs::exists(path)) return {};
  auto entries = read_catalogue(read_file(path), path.string());
  for (auto& entry : entries) entry.is_own = true;
  return entries;
}

bool has_name(const std::vector<CatalogueEntry>& entries, std::string_view name) {
  return std::ranges::any_of(entries, [&](const auto& entry) { return entry.name == name; });
}

}  // namespace

std::vector<CatalogueEntry> whole_catalogue() {
  const auto own = own_catalogue();
  auto entries = own;
  for (const auto& entry : shipped_catalogue()) {
    if (!has_name(own, entry.name)) entries.push_back(entry);
  }
  return entries;
}

void add_to_own_catalogue(const CatalogueEntry& entry, bool is_replacing) {
  auto entries = own_catalogue();
  if (!is_replacing && (has_name(entries, entry.name) || has_name(shipped_catalogue(), entry.name))) {
    fail(ErrorKind::usage, "the catalogue has a '{}' already; choose another name, or --replace it", entry.name);
  }
  std::erase_if(entries, [&](const CatalogueEntry& own) { return own.name == entry.name; });
  entries.push_back(entry);
  const auto path = own_catalogue_path();
  const auto text = to_toml(entries);
  (void)read_catalogue(text, path.string());  // nothing is written that could not be read again
  make_folders(path.parent_path(), "name another folder by MELISMA_WEIGHTS");
  write_file_atomically(path, text);
}

FileState state_of(const CatalogueFile& file, bool is_thorough) {
  const auto path = weights_folder() / file.path;
  std::error_code absent;
  const auto size = fs::file_size(path, absent);
  if (absent) return FileState::absent;
  if (size != file.size) return FileState::other_size;
  return is_thorough && sha256_of_file(path) != file.sha256 ? FileState::other_content : FileState::present;
}

std::string how_to_fetch(std::string_view file_or_folder) {
  for (const auto& entry : shipped_catalogue()) {
    for (const auto& file : entry.files) {
      if (file.path != file_or_folder && fs::path(file.path).parent_path() != file_or_folder) continue;
      return fmt::format("; `melisma models fetch {}` gets it ({})", entry.name, format_bytes(entry.size()));
    }
  }
  return "";
}

}  // namespace melisma
