#include "train/engine/checkpoint_index.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <utility>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kDoneName = "DONE";

std::string folder_name(std::int64_t epoch, std::int64_t step) {
  return fmt::format("epoch-{:04}-step-{:06}", epoch, step);
}

// What the name of a folder says: its place, and the suffix an interrupted write left ("" = none).
struct NameParts {
  std::int64_t epoch = 0, step = 0;
  std::string final_name, suffix;
};

std::optional<NameParts> parse_name(const fs::path& folder) {
  static const std::regex pattern(R"((epoch-(\d{1,15})-step-(\d{1,15}))(\.\d+\.tmp(\.old)?)?)");
  std::smatch match;
  const auto name = folder.filename().string();
  if (!std::regex_match(name, match, pattern)) return std::nullopt;
  return NameParts{std::stoll(match[2]), std::stoll(match[3]), match[1], match[4]};
}

std::vector<fs::path> checkpoint_folders(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code none;
  for (const auto& item : fs::directory_iterator(folder, none)) {
    if (item.is_directory() && parse_name(item.path())) found.push_back(item.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// XXH3 of a file, read in pieces: checkpoints are larger than one wants twice in memory.
std::string hash_of_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ErrorKind::data, "cannot read '{}'", path.string());
  ContentHasher hasher;
  std::vector<char> piece(1 << 20);
  while (file.read(piece.data(), std::ssize(piece)) || file.gcount() > 0) {
    hasher.add(std::string_view(piece.data(), static_cast<std::size_t>(file.gcount())));
  }
  return hasher.hex();
}

// nullopt if there is no DONE that can be read.
std::optional<CheckpointEntry> read_entry(const fs::path& folder) {
  try {
    const auto text = read_file(folder / kDoneName);
    const auto done = Json::parse(text);
    CheckpointEntry entry{.folder = folder,
                          .epoch = done.at("epoch").get<std::int64_t>(),
                          .step = done.at("step").get<std::int64_t>(),
                          .serial = done.at("serial").get<std::int64_t>(),
                          .score = std::nullopt,
                          .is_milestone = done.at("milestone").get<bool>(),
                          .run = done.at("run").get<std::string>(),
                          .hash = content_hash(text)};
    if (!done.at("score").is_null()) entry.score = done.at("score").get<double>();
    return entry;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void write_done(const fs::path& folder, const CheckpointEntry& entry) {
  auto files = Json::array();
  std::vector<fs::path> paths;
  for (const auto& item : fs::directory_iterator(folder)) paths.push_back(item.path());
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    files.push_back({{"name", path.filename().string()}, {"bytes", fs::file_size(path)}, {"xxh3", hash_of_file(path)}});
  }
  const Json done{{"format_version", 1},
                  {"run", entry.run},
                  {"serial", entry.serial},
                  {"epoch", entry.epoch},
                  {"step", entry.step},
                  {"score", entry.score ? Json(*entry.score) : Json(nullptr)},
                  {"milestone", entry.is_milestone},
                  {"files", files}};
  write_file_atomically(folder / kDoneName, done.dump(1) + "\n");
}

// DONE goes first, so that a removal cut short leaves an incomplete folder and not a damaged one.
void remove_checkpoint(const fs::path& folder) {
  std::error_code ignored;
  fs::remove(folder / kDoneName, ignored);
  fs::remove_all(folder, ignored);
}

bool is_whole(const fs::path& folder) {
  const auto entry = read_entry(folder);
  if (!entry) return false;
  try {
    verify_checkpoint(*entry);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::string places_text(const std::vector<CheckpointEntry>& entries) {
  std::string text;
  for (const auto& entry : entries) {
    text += fmt::format("{}epoch {} (step {})", text.empty() ? "" : ", ", entry.epoch, entry.step);
  }
  return text.empty() ? "none" : text;
}

[[noreturn]] void fail_damaged(const fs::path& file, const std::string& what) {
  fail(ErrorKind::checkpoint,
       "'{}' is damaged: {}; nothing was changed. Name another checkpoint (--resume-epoch K when training, --epoch K "
       "when extracting), or restore this one from a copy",
       file.string(), what);
}

}  // namespace

std::vector<CheckpointEntry> list_checkpoints(const fs::path& folder) {
  std::vector<CheckpointEntry> entries;
  for (const auto& path : checkpoint_folders(folder)) {
    if (!parse_name(path)->suffix.empty()) continue;
    if (auto entry = read_entry(path)) entries.push_back(std::move(*entry));
  }
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.serial < b.serial; });
  return entries;
}

const CheckpointEntry& choose_checkpoint(const std::vector<CheckpointEntry>& entries, std::string_view which) {
  if (entries.empty()) fail(ErrorKind::usage, "there is no checkpoint yet; train first");
  if (which == "last") return entries.back();
  const CheckpointEntry* chosen = nullptr;
  if (which == "best") {
    for (const auto& entry : entries) {
      if (entry.score && (chosen == nullptr || *entry.score < *chosen->score)) chosen = &entry;
    }
    return chosen != nullptr ? *chosen : entries.back();
  }
  std::int64_t epoch = -1;
  const auto* end = which.data() + which.size();
  if (std::from_chars(which.data(), end, epoch).ptr != end || which.empty()) {
    fail(ErrorKind::usage, "'{}' names no checkpoint; expected best, last or an epoch. There are: {}", which,
         places_text(entries));
  }
  for (const auto& entry : entries) {
    if (entry.epoch == epoch && (chosen == nullptr || entry.step > chosen->step)) chosen = &entry;
  }
  if (chosen == nullptr) {
    fail(ErrorKind::usage, "there is no checkpoint of epoch {}; there are: {}", epoch, places_text(entries));
  }
  return *chosen;
}

void verify_checkpoint(const CheckpointEntry& entry) {
  const auto done = Json::parse(read_file(entry.folder / kDoneName), nullptr, false);
  if (done.is_discarded() || !done.contains("files"))
    fail_damaged(entry.folder / kDoneName, "it is no JSON list of files");
  for (const auto& file : done["files"]) {
    const auto path = entry.folder / file.value("name", "");
    if (!fs::is_regular_file(path)) fail_damaged(path, "it is missing");
    const auto bytes = fs::file_size(path);
    if (const auto expected = file.value("bytes", std::uintmax_t{0}); bytes != expected) {
      fail_damaged(path, fmt::format("it has {} bytes, expected {}", bytes, expected));
    }
    if (hash_of_file(path) != file.value("xxh3", "")) fail_damaged(path, "its content differs from its hash in DONE");
  }
}

CheckpointStore::CheckpointStore(fs::path folder, const CheckpointConfig& config, std::string run)
    : folder_(std::move(folder)), config_(config), run_(std::move(run)) {
  make_folders(folder_, "change its permissions or name another workspace");
  lock();
  recover();
}

CheckpointStore::~CheckpointStore() {
  if (lock_ >= 0) ::close(lock_);
}

void CheckpointStore::lock() {
  const auto path = folder_ / ".lock";
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) {
    fail(ErrorKind::device, "cannot write '{}': the folder is not writable; change its permissions or name another",
         path.string());
  }
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    ::close(std::exchange(lock_, -1));
    fail(ErrorKind::usage,
         "another process is training into '{}'; wait for it, stop it, or start a run of another name",
         folder_.string());
  }
}

void CheckpointStore::recover() {
  for (const auto& path : checkpoint_folders(folder_)) {
    const auto name = *parse_name(path);
    const auto entry = read_entry(path);
    if (entry && entry->run != run_) continue;
    const auto final_path = folder_ / name.final_name;
    if (name.suffix.empty()) {
      if (!fs::exists(path / kDoneName)) remove_checkpoint(path);
    } else if (!fs::exists(final_path) && is_whole(path)) {
      fs::rename(path, final_path);  // killed between the two renames of a replacement
    } else {
      remove_checkpoint(path);
    }
  }
  entries_ = list_checkpoints(folder_);
  std::erase_if(entries_, [&](const auto& entry) { return entry.run != run_; });
  write_index();
}

const CheckpointEntry& CheckpointStore::write(const Place& place, const std::function<void(const fs::path&)>& fill) {
  CheckpointEntry entry{.folder = folder_ / folder_name(place.epoch, place.step),
                        .epoch = place.epoch,
                        .step = place.step,
                        .serial = entries_.empty() ? 1 : entries_.back().serial + 1,
                        .score = place.score,
                        .is_milestone = place.is_milestone,
                        .run = run_,
                        .hash = ""};
  write_folder_atomically(entry.folder, [&](const fs::path& temporary) {
    fill(temporary);
    write_done(temporary, entry);
  });
  entry.hash = hash_of_file(entry.folder / kDoneName);
  std::erase_if(entries_, [&](const auto& old) { return old.folder == entry.folder; });
  entries_.push_back(std::move(entry));
  retain();
  return entries_.back();
}

const CheckpointEntry& CheckpointStore::choose(std::string_view which) const {
  if (which == "last") {
    const auto newest = entries_.empty() ? std::pair{std::int64_t{-1}, std::int64_t{-1}}
                                         : std::pair{entries_.back().epoch, entries_.back().step};
    for (const auto& path : checkpoint_folders(folder_)) {
      const auto name = *parse_name(path);
      if (std::pair{name.epoch, name.step} > newest && !read_entry(path)) {
        fail_damaged(path / kDoneName, "it is no JSON list of files");
      }
    }
  }
  return choose_checkpoint(entries_, which);
}

bool CheckpointStore::is_among_best(double score) const {
  const auto better = std::count_if(entries_.begin(), entries_.end(),
                                    [&](const auto& entry) { return entry.score && *entry.score <= score; });
  return better < config_.keep_best;
}

std::vector<std::string> CheckpointStore::reasons_to_keep(const CheckpointEntry& entry) const {
  std::vector<std::string> reasons;
  std::int64_t newer = 0, better = 0;
  for (const auto& other : entries_) {
    newer += other.serial > entry.serial;
    const bool is_before = other.serial < entry.serial;
    better +=
        entry.score && other.score && (*other.score < *entry.score || (*other.score == *entry.score && is_before));
  }
  if (entry.score && better < config_.keep_best) reasons.emplace_back("best");
  if (newer < std::max<std::int64_t>(1, config_.keep_last)) reasons.emplace_back("last");
  if (entry.is_milestone) reasons.emplace_back("every");
  return reasons;
}

void CheckpointStore::retain() {
  std::vector<fs::path> unneeded;
  for (const auto& entry : entries_) {
    if (reasons_to_keep(entry).empty()) unneeded.push_back(entry.folder);
  }
  std::erase_if(entries_,
                [&](const auto& entry) { return std::ranges::find(unneeded, entry.folder) != unneeded.end(); });
  write_index();
  for (const auto& path : unneeded) remove_checkpoint(path);
}

void CheckpointStore::write_index() const {
  auto list = Json::array();
  for (const auto& entry : entries_) {
    list.push_back({{"folder", entry.folder.filename().string()},
                    {"epoch", entry.epoch},
                    {"step", entry.step},
                    {"score", entry.score ? Json(*entry.score) : Json(nullptr)},
                    {"hash", entry.hash},
                    {"kept", reasons_to_keep(entry)}});
  }
  write_file_atomically(folder_ / "index.json",
                        Json{{"format_version", 1}, {"run", run_}, {"checkpoints", list}}.dump(1) + "\n");
}

}  // namespace melisma
