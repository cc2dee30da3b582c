#include "experiments/jobs/job_files.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "experiments/runs/job_note.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// What a resumed training takes from its run; each has a value.
constexpr std::array<std::string_view, 2> kTakenFromRun{"--config", "--from"};

// Whether `word` is the option `name`, with its value or before it.
bool is_option(std::string_view word, std::string_view name) {
  return word == name || (word.starts_with(name) && word.substr(name.size()).starts_with("="));
}

}  // namespace

JobEnd read_end(const JobFiles& files, std::int64_t start) {
  try {
    const auto json = Json::parse(read_file(files.end()));
    if (json.at("start").get<std::int64_t>() != start) return {};
    return {.is_known = true,
            .exit_code = json.at("exit_code").get<int>(),
            .was_stopped = json.at("was_stopped").get<bool>()};
  } catch (const std::exception&) {  // none was written
    return {};
  }
}

void write_end(const JobFiles& files, std::int64_t start, const JobEnd& end) {
  const Json json{{"start", start}, {"exit_code", end.exit_code}, {"was_stopped", end.was_stopped}};
  write_file_atomically(files.end(), json.dump() + "\n");
}

std::optional<fs::path> run_of(const JobFiles& files) {
  const auto folder = run_noted_in(files.folder);
  if (folder.empty() || !fs::exists(folder / "config.toml")) return std::nullopt;
  return folder;
}

std::size_t command_place(const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--workspace" || words[i] == "--threads") {
      ++i;
    } else if (!words[i].starts_with("-")) {
      return i;
    }
  }
  return words.size();
}

std::vector<std::string> words_to_start(const std::vector<std::string>& words, const std::optional<fs::path>& run) {
  const auto command = command_place(words);
  const auto resumes = [](const std::string& word) { return is_option(word, "--resume"); };
  if (!run || command == words.size() || words[command] != "train" || std::ranges::any_of(words, resumes)) return words;
  std::vector<std::string> resumed;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto is_this = [&](std::string_view name) { return is_option(words[i], name); };
    if (std::ranges::any_of(kTakenFromRun, is_this)) {
      if (words[i].find('=') == std::string::npos) ++i;
    } else {
      resumed.push_back(words[i]);
    }
  }
  resumed.insert(resumed.end(), {"--resume", run->string()});
  return resumed;
}

}  // namespace melisma
