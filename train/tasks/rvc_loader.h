// Batches of RVC training from a dataset: clips cut to length, bucketed, in an order that is a function of the epoch.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "data/sets/dataset.h"
#include "train/engine/task.h"
#include "train/tasks/rvc_settings.h"

namespace melisma {

// A clip or a part of one that takes part in each epoch.
struct RvcPiece {
  Clip clip;
  std::int64_t first_frame = 0, n_frames = 0;
};

// What was done with the clips.
struct RvcPieces {
  std::vector<RvcPiece> pieces;
  std::int64_t n_clips = 0, n_cut = 0, n_padded = 0;  // longer than max_frames; shorter than a segment
  std::int64_t n_frames = 0;
};

// Every clip of `clips`, longer ones as equal pieces. A clip too short for one frame is an Error(data) naming it.
[[nodiscard]] RvcPieces cut_into_pieces(const std::vector<Clip>& clips, const RvcSettings& settings);

// Tensors of a batch: content [B, T, W], lengths [B], coarse_pitch [B, T], f0 [B, T], speaker [B], wave [B, 1, T hop],
// spectrum [B, bins, T] (of each clip's own samples, zero after its end). T is at least a segment, and
// a multiple of 32. A shard gets its rows of the same batches, padded to the same T, and all_lengths [all of B].
class RvcLoader final : public Loader {
 public:
  RvcLoader(std::shared_ptr<const Dataset> dataset, const RvcSettings& settings, RvcPieces pieces,
            const Shard& shard = {});
  [[nodiscard]] std::int64_t n_batches(std::int64_t epoch) const override;
  [[nodiscard]] Batch batch(std::int64_t epoch, std::int64_t index) const override;
  // The pieces of a batch, whoever's shard they are in: lengths within one bucket where there are enough of them, each
  // piece once an epoch.
  [[nodiscard]] std::vector<std::size_t> members(std::int64_t epoch, std::int64_t index) const;
  [[nodiscard]] const RvcPieces& pieces() const { return pieces_; }

 private:
  std::shared_ptr<const Dataset> dataset_;
  RvcSettings settings_;
  RvcPieces pieces_;
  Shard shard_;
  mutable std::mutex mutex_;
  mutable std::int64_t ordered_epoch_ = -1;
  mutable std::vector<std::vector<std::size_t>> order_;  // of ordered_epoch_
};

}  // namespace melisma
