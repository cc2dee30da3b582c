// `melisma models`: published weights listed, fetched, added, verified.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "models/catalogue/catalogue.h"
#include "models/catalogue/download.h"
#include "models/catalogue/weights_folder.h"
#include "tools/base/atomic_file.h"
#include "tools/base/console_sink.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/hash.h"
#include "tools/base/json_text.h"
#include "tools/base/stop.h"
#include "tools/base/table.h"
#include "tools/base/text_table.h"
#include "tools/cli/commands.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {
using Json = nlohmann::ordered_json;

struct ModelsOptions {
  std::vector<std::string> names;
  bool json = false, is_offline = false, is_replacing = false;
  std::string mirror;
  // Of a row that is added.
  std::string name, summary, licence, file, path, sha256;
  std::vector<std::string> urls;
  std::uint64_t size = 0;
};

std::string_view words_for(FileState state) {
  switch (state) {
    case FileState::absent:
      return "absent";
    case FileState::present:
      return "present";
    case FileState::other_size:
      return "another file (size)";
    case FileState::other_content:
      return "another file (SHA-256)";
  }
  return "";
}

// A row of the catalogue and what lies where its files belong, looked at once.
struct Found {
  CatalogueEntry entry;
  std::vector<FileState> files;
};

Found look_for(const CatalogueEntry& entry, bool is_thorough) {
  Found found{entry, {}};
  for (const auto& file : entry.files) found.files.push_back(state_of(file, is_thorough));
  return found;
}

// That of its files if they agree, otherwise "in part" or what is wrong.
std::string_view words_for(const Found& found) {
  for (const auto state : found.files) {
    if (state == FileState::other_size || state == FileState::other_content) return words_for(state);
  }
  const auto n_present = std::ranges::count(found.files, FileState::present);
  if (n_present == 0) return words_for(FileState::absent);
  return n_present == std::ssize(found.files) ? words_for(FileState::present) : "in part";
}

// The named rows of the catalogue, or all of it.
std::vector<CatalogueEntry> chosen(const std::vector<std::string>& names) {
  const auto all = whole_catalogue();
  if (names.empty()) return all;
  std::vector<CatalogueEntry> found;
  for (const auto& name : names) found.push_back(find_row(all, name, "model", ErrorKind::usage));
  return found;
}

Json json_of(const Found& found) {
  const auto& entry = found.entry;
  auto files = Json::array();
  for (std::size_t i = 0; i < entry.files.size(); ++i) {
    const auto& file = entry.files[i];
    files.push_back({{"path", (weights_folder() / file.path).string()},
                     {"urls", file.urls},
                     {"bytes", file.size},
                     {"sha256", file.sha256},
                     {"state", words_for(found.files[i])}});
  }
  return {{"name", entry.name},  {"summary", entry.summary},  {"licence", entry.licence}, {"bytes", entry.size()},
          {"own", entry.is_own}, {"state", words_for(found)}, {"files", std::move(files)}};
}

// Prints the rows with what is there of them; whether all of all of them is.
bool show(const std::vector<CatalogueEntry>& entries, bool json, bool is_thorough) {
  std::vector<Found> looked;
  for (const auto& entry : entries) looked.push_back(look_for(entry, is_thorough));
  const bool is_all_there =
      std::ranges::all_of(looked, [](const Found& found) { return words_for(found) == words_for(FileState::present); });
  if (json) {
    auto array = Json::array();
    for (const auto& found : looked) array.push_back(json_of(found));
    fmt::print("{}\n", json_text(array));
    return is_all_there;
  }
  std::vector<std::vector<std::string>> rows{{"model", "state", "size", "licence", "what for"}};
  for (const auto& found : looked) {
    const auto& entry = found.entry;
    rows.push_back(
        {entry.name, std::string(words_for(found)), format_bytes(entry.size()), entry.licence, entry.summary});
  }
  fmt::print("{}in '{}'; `melisma models fetch NAME` gets one\n", text_table(rows), weights_folder().string());
  return is_all_there;
}

bool is_set(const char* variable) {
  const auto* value = std::getenv(variable);
  return value != nullptr && *value != 0 && std::string_view(value) != "0";
}

// Where a file is fetched from: the mirror first, if one is named.
std::vector<std::string> urls_of(const CatalogueFile& file, const ModelsOptions& options) {
  const auto* variable = std::getenv("MELISMA_MIRROR");
  const std::string mirror = !options.mirror.empty() ? options.mirror : (variable == nullptr ? "" : variable);
  std::vector<std::string> urls;
  if (!mirror.empty() && !mirror.starts_with("http://") && !mirror.starts_with("https://")) {
    fail(ErrorKind::usage, "the mirror '{}' is no http or https URL", mirror);
  }
  for (const auto& url : file.urls) {
    if (!mirror.empty()) urls.push_back(at_mirror(url, mirror));
  }
  urls.insert(urls.end(), file.urls.begin(), file.urls.end());
  return urls;
}

void fetch_file(const CatalogueFile& file, const ModelsOptions& options, ConsoleSink& console) {
  const auto target = weights_folder() / file.path;
  const auto state = state_of(file, true);
  if (state == FileState::present) {
    fmt::print("{}: already there\n", target.string());
    return;
  }
  if (state != FileState::absent && !options.is_replacing) {
    fail(ErrorKind::checkpoint, "'{}' is another file; move it away, or --replace it with the published one",
         target.string());
  }
  const auto urls = urls_of(file, options);
  if (options.is_offline || is_set("MELISMA_OFFLINE")) {
    fail(ErrorKind::network, "'{}' is not there and nothing may be fetched (offline); put the file of SHA-256 {} there",
         target.string(), file.sha256);
  }
  if (urls.empty()) {
    fail(ErrorKind::network, "'{}' is not there and the catalogue has no URL for it; put the file of SHA-256 {} there",
         target.string(), file.sha256);
  }
  const auto task = "fetching " + file.path;
  constexpr double kMebi = 1 << 20;
  const auto total = static_cast<double>(file.size) / kMebi;
  download({target, urls, file.size, file.sha256}, {}, [&](double done) {
    console.receive(ProgressEvent{task, done / kMebi, total, "MiB", {}});
  });
  fmt::print("{}: {}, SHA-256 as published\n", target.string(), format_bytes(file.size));
}

int fetch(const ModelsOptions& options) {
  install_stop_handlers();
  ConsoleSink console;
  int exit_code = 0;
  for (const auto& entry : chosen(options.names)) {
    for (const auto& file : entry.files) {
      try {
        fetch_file(file, options, console);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted || error.kind() == ErrorKind::usage) throw;
        console.receive(MessageEvent{Severity::error, error.what()});
        exit_code = std::max(exit_code, error.exit_code());
      }
    }
  }
  return exit_code;
}

int verify(const ModelsOptions& options) {
  auto entries = chosen(options.names);
  if (options.names.empty()) {
    const auto is_absent = [](const CatalogueEntry& entry) {
      return words_for(look_for(entry, false)) == words_for(FileState::absent);
    };
    std::erase_if(entries, is_absent);
  }
  return show(entries, options.json, true) ? 0 : Error(ErrorKind::checkpoint, "").exit_code();
}

int add(const ModelsOptions& options) {
  CatalogueFile file{options.path, options.urls, options.size, options.sha256};
  const auto folder = weights_folder();
  if (!options.file.empty()) {
    const fs::path source(options.file);
    if (!fs::is_regular_file(source)) fail(ErrorKind::checkpoint, "there is no file '{}'", options.file);
    if (file.path.empty()) file.path = source.filename().string();
    file.size = fs::file_size(source);
    file.sha256 = sha256_of_file(source);
  }
  if (file.path.empty() && !file.urls.empty()) {
    file.path = fs::path(file.urls.front().substr(0, file.urls.front().find_first_of("?#"))).filename().string();
  }
  if (file.path.empty() || file.size == 0 || file.sha256.empty()) {
    fail(ErrorKind::usage, "a row needs --file, or else --url with --size and --sha256");
  }
  add_to_own_catalogue({options.name, options.summary, options.licence, {file}, true}, options.is_replacing);
  if (!options.file.empty() && state_of(file, true) != FileState::present) {
    if (fs::exists(folder / file.path) && !options.is_replacing) {
      fail(ErrorKind::checkpoint, "'{}' is another file; move it away, or --replace it", (folder / file.path).string());
    }
    fs::create_directories((folder / file.path).parent_path());
    write_file_atomically(folder / file.path, [&](const fs::path& temporary) {
      fs::copy_file(options.file, temporary, fs::copy_options::overwrite_existing);
    });
  }
  fmt::print("'{}' is in {}\n", options.name, own_catalogue_path().string());
  return 0;
}

void define_add(CLI::App& app, ModelsOptions& options) {
  app.add_option("name", options.name, "what it is to be called")->required();
  app.add_option("--file", options.file, "a file of yours: copied into the folder of weights, hashed");
  app.add_option("--url", options.urls, "where it is published; several are tried in order");
  app.add_option("--size", options.size, "bytes the published file has");
  app.add_option("--sha256", options.sha256, "SHA-256 the published file has");
  app.add_option("--path", options.path, "its place in the folder of weights (default: its own name)");
  app.add_option("--for", options.summary, "what it is for")->default_val("your own");
  app.add_option("--licence", options.licence, "what its owner allows")->default_val("not stated");
  app.add_flag("--replace", options.is_replacing, "a row, or file, of that name is replaced");
}

}  // namespace

std::function<int()> define_models(CLI::App& app, const GlobalOptions&) {
  auto options = std::make_shared<ModelsOptions>();
  auto* list = app.add_subcommand("list", "the catalogue, and which of it is here");
  auto* fetcher = app.add_subcommand("fetch", "gets weights: resumed, checked by SHA-256, moved into place whole");
  auto* adder = app.add_subcommand("add", "a row of your own, for a file or a URL");
  auto* verifier =
      app.add_subcommand("verify", "reads what is here and compares SHA-256 (exit 3 if something is wrong)");
  app.require_subcommand(1);
  for (auto* sub : {list, verifier}) {
    sub->add_option("names", options->names, "rows of the catalogue (default: all)");
    sub->add_flag("--json", options->json, "print JSON");
  }
  fetcher->add_option("names", options->names, "rows of the catalogue")->required();
  fetcher->add_option("--mirror", options->mirror,
                      "a server asked first, in place of each URL's own (or MELISMA_MIRROR)");
  fetcher->add_flag("--offline", options->is_offline, "fetch nothing: say what is missing (or MELISMA_OFFLINE=1)");
  fetcher->add_flag("--replace", options->is_replacing, "another file of that name is replaced");
  define_add(*adder, *options);
  return [options, list, fetcher, adder] {
    if (list->parsed()) {
      (void)show(chosen(options->names), options->json, false);
      return 0;
    }
    if (fetcher->parsed()) return fetch(*options);
    return adder->parsed() ? add(*options) : verify(*options);
  };
}

}  // namespace melisma
