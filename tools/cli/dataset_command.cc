// `melisma dataset info|list`: what is in a dataset, answered without Torch.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <array>
#include <map>
#include <memory>
#include <set>

#include "data/sets/dataset.h"
#include "data/sets/dataset_json.h"
#include "data/sets/feature_facts.h"
#include "data/sets/hdf5_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/json_text.h"
#include "tools/base/table.h"
#include "tools/cli/commands.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

constexpr std::array kSplits{Split::train, Split::validation, Split::test};

std::vector<std::string> dataset_names(const fs::path& folder) {
  std::vector<std::string> names;
  if (!fs::is_directory(folder)) return names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".h5") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// A dataset by its name in the workspace, or by the path of its file.
fs::path dataset_path(const std::string& name, const fs::path& workspace) {
  const auto folder = workspace / "datasets";
  if (const auto by_name = folder / (name + ".h5"); fs::exists(by_name)) return by_name;
  if (fs::exists(name)) return name;
  const auto known = dataset_names(folder);
  if (known.empty()) {
    fail(ErrorKind::data, "there is no dataset '{}'; '{}' holds none yet: make one with melisma prepare", name,
         folder.string());
  }
  throw Error(ErrorKind::data, unknown_name_message("dataset", name, known));
}

// What is on one side: recordings and clips of voices, or songs and tracks; seconds of clips, or of songs.
struct SplitFacts {
  std::set<std::string> recordings;
  std::int64_t n_clips = 0, n_songs = 0, n_tracks = 0;
  double seconds = 0;
};

std::map<Split, SplitFacts> facts_by_split(const Dataset& dataset) {
  std::map<Split, SplitFacts> facts;
  for (const auto& clip : dataset.clips()) {
    auto& of = facts[clip.split];
    of.recordings.insert(clip.recording);
    ++of.n_clips;
    of.seconds += static_cast<double>(clip.length) / static_cast<double>(dataset.sample_rate_hz());
  }
  for (const auto& song : dataset.songs()) {
    auto& of = facts[song.split];
    ++of.n_songs;
    of.n_tracks += std::ssize(song.tracks);
    of.seconds += static_cast<double>(song.length()) / static_cast<double>(dataset.sample_rate_hz());
  }
  return facts;
}

nlohmann::ordered_json json_of(const Dataset& dataset, const Song& song) {
  nlohmann::ordered_json json{
      {"name", song.name},
      {"artist", song.artist},
      {"split", name_of(song.split)},
      {"seconds", static_cast<double>(song.length()) / static_cast<double>(dataset.sample_rate_hz())},
      {"has_mix", song.mix.has_value()}};
  for (const auto& track : song.tracks) {
    json["tracks"].push_back({{"name", track.name}, {"stem", track.stem}, {"channels", track.n_channels}});
  }
  return json;
}

nlohmann::ordered_json json_of(const SplitFacts& facts, DatasetKind kind) {
  if (kind == DatasetKind::multitrack) {
    return {{"songs", facts.n_songs}, {"tracks", facts.n_tracks}, {"seconds", facts.seconds}};
  }
  return {{"recordings", facts.recordings.size()}, {"clips", facts.n_clips}, {"seconds", facts.seconds}};
}

nlohmann::ordered_json json_of(const Dataset& dataset) {
  nlohmann::ordered_json json;
  json["path"] = dataset.path().string();
  json["kind"] = name_of(dataset.kind());
  json["bytes"] = fs::file_size(dataset.path());
  json["tool_version"] = dataset.tool_version();
  json["sample_rate_hz"] = dataset.sample_rate_hz();
  json["content_hash"] = dataset.content_hash();
  json["split_hash"] = dataset.split_hash();
  json["parameters"] = nlohmann::ordered_json::parse(dataset.parameters(), nullptr, false);
  if (dataset.kind() == DatasetKind::voice) json["speakers"] = dataset.speakers();
  json["splits"] = nlohmann::ordered_json::object();
  auto facts = facts_by_split(dataset);
  for (const auto split : kSplits) json["splits"][std::string(name_of(split))] = json_of(facts[split], dataset.kind());
  for (const auto& song : dataset.songs()) json["songs"].push_back(json_of(dataset, song));
  json["features"] = nlohmann::ordered_json::array();
  for (const auto& key : dataset.feature_sets()) {
    const auto facts = feature_facts(dataset, key);
    auto entry = melisma::json_of(key);
    entry["width"] = facts.width;
    entry["bytes"] = facts.bytes;
    entry["storage"] = facts.storage;
    entry["largest_error"] = facts.largest_error;
    json["features"].push_back(std::move(entry));
  }
  json["recordings"] = nlohmann::ordered_json::array();
  for (const auto& row : dataset.recordings()) json["recordings"].push_back(json_of(row));
  json["test_openings"] = nlohmann::ordered_json::array();
  for (const auto& entry : dataset.ledger()) {
    json["test_openings"].push_back(
        {{"time_utc", entry.time_utc}, {"command", entry.command}, {"model_hash", entry.model_hash}});
  }
  return json;
}

// "features    mel {...}: 128 wide, 1.2 MiB in eight bits, off by 0.16 at most, 93.7 % less than 16-bit sound"
std::string features_text(const Dataset& dataset, const FeatureKey& key) {
  const auto facts = feature_facts(dataset, key);
  auto text = fmt::format("features    {} {}: {} wide, {} in {}", key.kind, key.parameters, facts.width,
                          format_bytes(static_cast<std::uint64_t>(facts.bytes)), facts.storage);
  if (facts.largest_error > 0) text += fmt::format(", off by {:.2g} at most", facts.largest_error);
  if (facts.wave_bytes > facts.bytes) {
    const double share = static_cast<double>(facts.bytes) / static_cast<double>(facts.wave_bytes);
    text += fmt::format(", {:.1f} % less than the sound in 16 bits", 100 * (1 - share));
  }
  return text + "\n";
}

void print_text(const Dataset& dataset) {
  fmt::print("dataset     {} ({})\n", dataset.path().string(), format_bytes(fs::file_size(dataset.path())));
  fmt::print("kind        {}\n", name_of(dataset.kind()));
  fmt::print("rate        {} Hz\n", dataset.sample_rate_hz());
  fmt::print("content     {}\nsplit       {}\n", dataset.content_hash(), dataset.split_hash());
  if (dataset.kind() == DatasetKind::voice) fmt::print("speakers    {}\n", fmt::join(dataset.speakers(), ", "));
  for (const auto& song : dataset.songs()) {
    fmt::print("song        {}{}{}: {} tracks{}\n", song.artist, song.artist.empty() ? "" : " - ", song.name,
               song.tracks.size(), song.mix ? " and a mix" : "");
  }
  auto facts = facts_by_split(dataset);
  for (const auto split : kSplits) {
    const auto& of = facts[split];
    const bool has_songs = dataset.kind() == DatasetKind::multitrack;
    fmt::print("{:<12}{} {}, {} {}, {}\n", name_of(split), has_songs ? of.n_songs : std::ssize(of.recordings),
               has_songs ? "songs" : "recordings", has_songs ? of.n_tracks : of.n_clips, has_songs ? "tracks" : "clips",
               format_seconds(of.seconds));
  }
  for (const auto& key : dataset.feature_sets()) fmt::print("{}", features_text(dataset, key));
  std::map<std::string, int> fates;
  for (const auto& row : dataset.recordings()) ++fates[row.fate];
  for (const auto& [fate, count] : fates) fmt::print("files       {} {}\n", count, fate);
  const auto ledger = dataset.ledger();
  fmt::print("test split opened {} times\n", ledger.size());
  for (const auto& entry : ledger) fmt::print("  {}  {}  {}\n", entry.time_utc, entry.command, entry.model_hash);
}

void list_datasets(const fs::path& workspace, bool json) {
  auto rows = nlohmann::ordered_json::array();
  for (const auto& name : dataset_names(workspace / "datasets")) {
    const auto path = workspace / "datasets" / (name + ".h5");
    try {
      const auto dataset = Dataset::open_any(path);
      double seconds = 0;
      for (const auto& [split, facts] : facts_by_split(dataset)) seconds += facts.seconds;
      nlohmann::ordered_json row{{"name", name}, {"kind", name_of(dataset.kind())}};
      row["sample_rate_hz"] = dataset.sample_rate_hz();
      if (dataset.kind() == DatasetKind::multitrack) {
        row["songs"] = dataset.songs().size();
      } else {
        row["speakers"] = dataset.speakers().size();
        row["clips"] = dataset.clips().size();
      }
      row["seconds"] = seconds;
      row["bytes"] = fs::file_size(path);
      rows.push_back(std::move(row));
    } catch (const Error& error) {
      rows.push_back({{"name", name}, {"problem", error.message()}});
    }
  }
  if (json) {
    fmt::print("{}\n", json_text(rows));
    return;
  }
  if (rows.empty()) fmt::print("no datasets in '{}'; make one with melisma prepare\n", workspace.string());
  for (const auto& row : rows) {
    if (row.contains("problem")) {
      fmt::print("{:<20}  {}\n", row["name"].get<std::string>(), row["problem"].get<std::string>());
    } else {
      const auto amount = row.contains("songs") ? fmt::format("{} songs", row["songs"].get<int>())
                                                : fmt::format("{} speakers  {} clips", row["speakers"].get<int>(),
                                                              row["clips"].get<int>());
      fmt::print("{:<20}  {} Hz  {}  {}  {}\n", row["name"].get<std::string>(), row["sample_rate_hz"].get<int>(),
                 amount, format_seconds(row["seconds"].get<double>()), format_bytes(row["bytes"].get<std::uint64_t>()));
    }
  }
}

struct DatasetArguments {
  std::string name;
  bool json = false;
};

}  // namespace

std::function<int()> define_dataset(CLI::App& app, const GlobalOptions& global) {
  auto arguments = std::make_shared<DatasetArguments>();
  app.require_subcommand(1);
  auto* info = app.add_subcommand("info", "what one dataset holds");
  info->add_option("dataset", arguments->name, "name in the workspace, or path of the file")->required();
  info->add_flag("--json", arguments->json, "print JSON");
  auto* list = app.add_subcommand("list", "the datasets of the workspace");
  list->add_flag("--json", arguments->json, "print JSON");
  return [arguments, info, &global] {
    if (!info->parsed()) {
      list_datasets(global.workspace, arguments->json);
      return 0;
    }
    const auto dataset = Dataset::open_any(dataset_path(arguments->name, global.workspace));
    if (arguments->json) {
      fmt::print("{}\n", json_text(json_of(dataset)));
    } else {
      print_text(dataset);
    }
    return 0;
  };
}

}  // namespace melisma
