// Excerpts of songs in tracks for training a mixing model: which ones, and how loud, is a function of epoch and batch.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "data/sets/dataset.h"
#include "train/engine/task.h"
#include "train/tasks/mix_settings.h"

namespace melisma {

// An excerpt's tracks as models take them, and its finished mix.
struct MixExcerpt {
  at::Tensor tracks;  // [T, N] float; each channel of a stereo track is a track; at most max_tracks
  at::Tensor mix;     // [2, N]
};

// Frames [first, first + count) of a song that has a mix.
[[nodiscard]] MixExcerpt excerpt_of(const Dataset& dataset, const Song& song, std::int64_t first, std::int64_t count,
                                    std::int64_t max_tracks);

// Tensors of a batch: tracks [B, T, N], present [B, T] bool, mix [B, 2, N], and in some batches reference [B, 2, N],
// another part of the same mix. T is the largest number of tracks of the whole batch, absent ones are zero. A shard
// gets its rows.
class MixLoader final : public Loader {
 public:
  // `songs` all have a mix and are not empty.
  MixLoader(std::shared_ptr<const Dataset> dataset, const MixSettings& settings, std::vector<Song> songs,
            const Shard& shard = {});
  [[nodiscard]] std::int64_t n_batches(std::int64_t epoch) const override;
  [[nodiscard]] Batch batch(std::int64_t epoch, std::int64_t index) const override;

 private:
  struct Choice {
    const Song* song;
    std::int64_t first = 0, reference_first = 0;
    std::uint64_t gain_seed = 0;
  };
  [[nodiscard]] std::vector<Choice> choices(std::int64_t epoch, std::int64_t index) const;
  [[nodiscard]] std::int64_t n_tracks(const Song& song) const;
  std::shared_ptr<const Dataset> dataset_;
  MixSettings settings_;
  std::vector<Song> songs_;
  Shard shard_;
};

}  // namespace melisma
