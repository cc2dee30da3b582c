#include "train/tasks/rvc_loader.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "tools/base/seed.h"

namespace melisma {
namespace {

// Batches are padded to a multiple of this: each new length costs the convolutions a new kernel, made at run time.
constexpr std::int64_t kFrameStep = 32;

}  // namespace

RvcLoader::RvcLoader(std::shared_ptr<const Dataset> dataset, const RvcSettings& settings, RvcPieces pieces,
                     const Shard& shard, std::optional<at::Device> kept_on)
    : settings_(settings), store_(std::move(dataset), settings, std::move(pieces), kept_on), shard_(shard) {}

std::int64_t RvcLoader::n_batches(std::int64_t) const {
  const auto n = static_cast<std::int64_t>(pieces().pieces.size());
  return (n + settings_.data.batch_size - 1) / settings_.data.batch_size;
}

// Pieces in random order, sorted by bucket (so that only neighbours in length share a batch), cut into batches, and the
// batches in random order.
std::vector<std::size_t> RvcLoader::members(std::int64_t epoch, std::int64_t index) const {
  const std::scoped_lock lock(mutex_);
  if (epoch != ordered_epoch_) {
    RandomSource random(seed_of(settings_.trainer.seed, "order", {epoch}));
    const auto shuffled = random.permutation(static_cast<std::int64_t>(pieces().pieces.size()));
    std::vector<std::size_t> items(shuffled.begin(), shuffled.end());
    const auto bucket = [&](std::size_t i) { return pieces().pieces[i].n_frames / settings_.data.bucket_frames; };
    std::stable_sort(items.begin(), items.end(), [&](auto a, auto b) { return bucket(a) < bucket(b); });
    order_.clear();
    const auto size = static_cast<std::size_t>(settings_.data.batch_size);
    for (const auto i : random.permutation(n_batches(epoch))) {
      const auto first = static_cast<std::size_t>(i) * size;
      order_.emplace_back(items.begin() + static_cast<std::ptrdiff_t>(first),
                          items.begin() + static_cast<std::ptrdiff_t>(std::min(first + size, items.size())));
    }
    ordered_epoch_ = epoch;
  }
  return order_.at(static_cast<std::size_t>(index));
}

Batch RvcLoader::batch(std::int64_t epoch, std::int64_t index) const {
  const c10::NoGradGuard no_grad;
  const auto chosen = members(epoch, index);
  const auto& model = settings_.model;
  const auto n_all = std::ssize(chosen), n = shard_.count_of(n_all), first = shard_.first_of(n_all);
  auto frames = model.segment_frames;
  for (const auto i : chosen) frames = std::max(frames, pieces().pieces[i].n_frames);
  frames = (frames + kFrameStep - 1) / kFrameStep * kFrameStep;
  const auto numbers = at::TensorOptions(store_.device());
  const auto content = at::zeros({n, frames, model.content_channels}, numbers), f0 = at::zeros({n, frames}, numbers);
  const auto coarse = at::ones({n, frames}, numbers.dtype(at::kLong));
  const auto lengths = at::empty({n}, at::kLong), speaker = at::empty({n}, at::kLong);
  const auto wave = at::zeros({n, 1, frames * model.hop}, numbers);
  const auto spectrum = at::zeros({n, model.spectrum_bins(), frames}, numbers);
  for (std::int64_t row = 0; row < n; ++row) {
    const auto i = chosen[static_cast<std::size_t>(first + row)];
    const auto& piece = pieces().pieces[i];
    const auto tensors = store_.tensors(i);
    content[row].narrow(0, 0, piece.n_frames).copy_(tensors.content);
    f0[row].narrow(0, 0, piece.n_frames).copy_(tensors.f0);
    coarse[row].narrow(0, 0, piece.n_frames).copy_(tensors.coarse_pitch);
    wave[row][0].narrow(0, 0, tensors.wave.numel()).copy_(tensors.wave);
    spectrum[row].narrow(1, 0, piece.n_frames).copy_(tensors.spectrum);
    lengths[row] = piece.n_frames;
    speaker[row] = piece.clip.speaker;
  }
  Batch batch;
  batch.n_items = n;
  if (shard_.size > 1) {
    batch.n_items_all = n_all;
    batch.first_item = first;
    std::vector<std::int64_t> all_lengths;
    for (const auto i : chosen) all_lengths.push_back(pieces().pieces[i].n_frames);
    batch.add_for_cpu("all_lengths", at::tensor(all_lengths, at::kLong));
  }
  batch.add("content", content);
  batch.add_for_cpu("lengths", lengths);
  batch.add("coarse_pitch", coarse);
  batch.add("f0", f0);
  batch.add("speaker", speaker);
  batch.add("wave", wave);
  batch.add("spectrum", spectrum);
  return batch;
}

}  // namespace melisma
