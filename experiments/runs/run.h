// A run: a folder that holds everything about one training, and what state it is in.
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace melisma {

// status.json. `state` is one of kRunStates.
struct RunStatus {
  std::string state = "created";
  std::string reason;                // why it ended as it did, in words
  std::int64_t epoch = 0, step = 0;  // reached
  std::int64_t best_epoch = 0;       // 0 = nothing scored yet
  double best_score = 0;             // of best_epoch
  std::string metric;                // what best_score measures
  std::int64_t pid = 0;              // of the trainer while state is "running"
  std::string started_utc, updated_utc;
};

struct RunState {
  std::string_view name, summary;
};
inline constexpr RunState kRunStates[] = {
    {"created", "made, nothing trained yet"},
    {"running", "a process trains it now"},
    {"finished", "all epochs trained"},
    {"overtrained", "ended by the overtraining check; the best epoch is kept"},
    {"interrupted", "stopped by a signal after saving; --resume goes on"},
    {"diverged", "ended because of non-finite numbers"},
    {"failed", "ended by an error"},
};

// runs/<name>-<signature>/ below a workspace:
//   config.toml  manifest.json  status.json  metrics.jsonl  events.out.tfevents.*  samples/  checkpoints/  evaluations/
class Run {
 public:
  // Makes the folder with config.toml and manifest.json, whole or not at all. Error(usage) if a run of that name and
  // signature is there already; names must be letters, digits, '-', '_', '.'.
  static Run create(const std::filesystem::path& workspace, std::string_view name, std::string_view signature,
                    const std::string& config_toml, const nlohmann::ordered_json& manifest);
  // By folder, by "<name>-<signature>", or by name: the one updated last if several settings share it. Error(usage)
  // with did-you-mean and what there is.
  static Run open(const std::filesystem::path& workspace, std::string_view name_or_folder);
  // All of the workspace, newest first. Folders that are no runs are passed over.
  static std::vector<Run> list(const std::filesystem::path& workspace);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::string id() const { return folder_.filename().string(); }  // "<name>-<signature>"
  [[nodiscard]] std::string name() const;
  [[nodiscard]] std::filesystem::path checkpoints() const { return folder_ / "checkpoints"; }
  [[nodiscard]] std::filesystem::path samples() const { return folder_ / "samples"; }
  [[nodiscard]] std::filesystem::path evaluations() const { return folder_ / "evaluations"; }
  [[nodiscard]] std::filesystem::path metrics() const { return folder_ / "metrics.jsonl"; }

  [[nodiscard]] std::string config_toml() const;
  [[nodiscard]] nlohmann::ordered_json manifest() const;
  // A "running" whose process is gone reads as "interrupted".
  [[nodiscard]] RunStatus status() const;
  // Writes status.json atomically, with updated_utc set to now.
  void set_status(RunStatus status) const;

 private:
  explicit Run(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path folder_;
};

[[nodiscard]] nlohmann::ordered_json to_json(const RunStatus& status);

}  // namespace melisma
