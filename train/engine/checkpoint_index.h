// The checkpoints of a run: which there are, which are whole, which are kept, and which one somebody means. Torch-free.
//
// checkpoints/
//   epoch-0012-step-003456/   model.safetensors, one file for each other network, ema.safetensors,
//   optimizer.safetensors,
//                             state.json, and DONE: a JSON list of the others with size and hash, written last
//   index.json                what DONE files say, and why each checkpoint is kept; rebuilt whenever it is missing
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/engine/trainer_config.h"

namespace melisma {

struct CheckpointEntry {
  std::filesystem::path folder;
  std::int64_t epoch = 0, step = 0;
  std::int64_t serial = 0;      // order of writing in this run: the newest has the highest
  std::optional<double> score;  // held-out score at this step, lower is better
  bool is_milestone = false;    // kept because of CheckpointConfig.keep_every
  std::string run;              // whose it is
  std::string hash;             // of DONE, which holds the hashes of the other files
};

// The complete checkpoints in `folder`, oldest first; none if the folder is absent. Changes nothing on disk.
[[nodiscard]] std::vector<CheckpointEntry> list_checkpoints(const std::filesystem::path& folder);

// The entry that `which` names: "best" (lowest score, "last" when nothing was scored), "last" (newest), or an epoch
// ("12": its highest step). Throws Error(usage) listing what there is.
[[nodiscard]] const CheckpointEntry& choose_checkpoint(const std::vector<CheckpointEntry>& entries,
                                                       std::string_view which);

// Compares every file with DONE. Throws Error(checkpoint) naming the file, expected and found, and what to do.
void verify_checkpoint(const CheckpointEntry& entry);

// Write access for the one process that trains this run.
class CheckpointStore {
 public:
  // Makes the folder, locks it against a second trainer (Error(usage)), removes what an interrupted write left behind,
  // and brings index.json up to date. Only folders named like checkpoints and made by `run` are ever touched.
  CheckpointStore(std::filesystem::path folder, const CheckpointConfig& config, std::string run);
  ~CheckpointStore();
  CheckpointStore(const CheckpointStore&) = delete;
  CheckpointStore& operator=(const CheckpointStore&) = delete;

  struct Place {
    std::int64_t epoch = 0, step = 0;
    std::optional<double> score;
    bool is_milestone = false;
  };
  // Lets `fill` write files into a temporary folder, seals it with DONE, renames it into place, updates the index and
  // removes what retention no longer keeps. Throws Error(device) when the disk refuses; what was there stays.
  const CheckpointEntry& write(const Place& place, const std::function<void(const std::filesystem::path&)>& fill);

  [[nodiscard]] const std::vector<CheckpointEntry>& entries() const { return entries_; }
  // As choose_checkpoint, and for "last" throws Error(checkpoint) if a newer folder is there that cannot be read.
  [[nodiscard]] const CheckpointEntry& choose(std::string_view which) const;
  // Whether a checkpoint with this score would be kept as one of the best.
  [[nodiscard]] bool is_among_best(double score) const;

 private:
  void lock();
  void recover();
  void retain();
  void write_index() const;
  [[nodiscard]] std::vector<std::string> reasons_to_keep(const CheckpointEntry& entry) const;

  std::filesystem::path folder_;
  CheckpointConfig config_;
  std::string run_;
  int lock_ = -1;
  std::vector<CheckpointEntry> entries_;  // of this run, oldest first
};

}  // namespace melisma
