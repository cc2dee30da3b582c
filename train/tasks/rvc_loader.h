// Batches of RVC training from a dataset: clips cut to length, bucketed, in an order that is a function of the epoch.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "train/engine/task.h"
#include "train/tasks/rvc_pieces.h"

namespace melisma {

// Tensors of a batch: content [B, T, W], lengths [B], coarse_pitch [B, T], f0 [B, T], speaker [B], wave [B, 1, T hop],
// spectrum [B, bins, T] (of each clip's own samples, zero after its end). T is at least a segment, and
// a multiple of 32. A shard gets its rows of the same batches, padded to the same T, and all_lengths [all of B].
class RvcLoader final : public Loader {
 public:
  // Pieces are read anew for each batch, or made once and kept on `kept_on`, where their batches are then made.
  RvcLoader(std::shared_ptr<const Dataset> dataset, const RvcSettings& settings, RvcPieces pieces,
            const Shard& shard = {}, std::optional<at::Device> kept_on = {});
  [[nodiscard]] std::int64_t n_batches(std::int64_t epoch) const override;
  [[nodiscard]] Batch batch(std::int64_t epoch, std::int64_t index) const override;
  // The pieces of a batch, whoever's shard they are in: lengths within one bucket where there are enough of them, each
  // piece once an epoch.
  [[nodiscard]] std::vector<std::size_t> members(std::int64_t epoch, std::int64_t index) const;
  [[nodiscard]] const RvcPieces& pieces() const { return store_.pieces(); }

 private:
  RvcSettings settings_;
  RvcPieceStore store_;
  Shard shard_;
  mutable std::mutex mutex_;
  mutable std::int64_t ordered_epoch_ = -1;
  mutable std::vector<std::vector<std::size_t>> order_;  // of ordered_epoch_
};

}  // namespace melisma
