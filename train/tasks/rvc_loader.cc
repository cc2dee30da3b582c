#include "train/tasks/rvc_loader.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "data/signal/mel.h"
#include "tools/base/error.h"
#include "tools/base/seed.h"
#include "train/tasks/rvc_task.h"

namespace melisma {
namespace {

// Batches are padded to a multiple of this: each new length costs the convolutions a new kernel, made at run time.
constexpr std::int64_t kFrameStep = 32;

// Rows first..first + count of a feature matrix on the first `count` frames of `row`, which stays zero after them.
void copy_features(const FeatureMatrix& features, const RvcPiece& piece, const at::Tensor& row) {
  const auto whole = at::from_blob(const_cast<float*>(features.values.data()), {features.n_frames, features.width});
  const auto available = std::clamp<std::int64_t>(features.n_frames - piece.first_frame, 0, piece.n_frames);
  row.narrow(0, 0, available).copy_(whole.narrow(0, piece.first_frame, available));
}

}  // namespace

RvcPieces cut_into_pieces(const std::vector<Clip>& clips, const RvcSettings& settings) {
  RvcPieces all;
  for (const auto& clip : clips) {
    const auto frames = clip.length / settings.model.hop;
    if (frames < 1) {
      fail(ErrorKind::data, "clip {} of '{}' has {} samples: less than one frame of {}", clip.index, clip.recording,
           clip.length, settings.model.hop);
    }
    const auto n = (frames + settings.data.max_frames - 1) / settings.data.max_frames;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto first = frames * i / n;
      all.pieces.push_back({clip, first, frames * (i + 1) / n - first});
    }
    all.n_clips += 1;
    all.n_cut += n > 1 ? 1 : 0;
    all.n_padded += frames < settings.model.segment_frames ? 1 : 0;
    all.n_frames += frames;
  }
  return all;
}

RvcLoader::RvcLoader(std::shared_ptr<const Dataset> dataset, const RvcSettings& settings, RvcPieces pieces,
                     const Shard& shard)
    : dataset_(std::move(dataset)), settings_(settings), pieces_(std::move(pieces)), shard_(shard) {}

std::int64_t RvcLoader::n_batches(std::int64_t) const {
  const auto n = static_cast<std::int64_t>(pieces_.pieces.size());
  return (n + settings_.data.batch_size - 1) / settings_.data.batch_size;
}

// Pieces in random order, sorted by bucket (so that only neighbours in length share a batch), cut into batches, and the
// batches in random order.
std::vector<std::size_t> RvcLoader::members(std::int64_t epoch, std::int64_t index) const {
  const std::scoped_lock lock(mutex_);
  if (epoch != ordered_epoch_) {
    RandomSource random(seed_of(settings_.trainer.seed, "order", {epoch}));
    const auto shuffled = random.permutation(static_cast<std::int64_t>(pieces_.pieces.size()));
    std::vector<std::size_t> items(shuffled.begin(), shuffled.end());
    const auto bucket = [&](std::size_t i) { return pieces_.pieces[i].n_frames / settings_.data.bucket_frames; };
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
  for (const auto i : chosen) frames = std::max(frames, pieces_.pieces[i].n_frames);
  frames = (frames + kFrameStep - 1) / kFrameStep * kFrameStep;
  const auto content_key = key_of(settings_.content), pitch_key = key_of(settings_.pitch);
  const auto content = at::zeros({n, frames, model.content_channels}), f0 = at::zeros({n, frames});
  const auto coarse = at::ones({n, frames}, at::kLong);
  const auto lengths = at::empty({n}, at::kLong), speaker = at::empty({n}, at::kLong);
  const auto wave = at::zeros({n, 1, frames * model.hop});
  const auto spectrum = at::zeros({n, model.spectrum_bins(), frames});
  for (std::int64_t row = 0; row < n; ++row) {
    const auto& piece = pieces_.pieces[chosen[static_cast<std::size_t>(first + row)]];
    auto samples = dataset_->wave(piece.clip, piece.first_frame * model.hop, piece.n_frames * model.hop);
    const auto n_samples = static_cast<std::int64_t>(samples.size());
    wave[row][0].narrow(0, 0, n_samples).copy_(at::from_blob(samples.data(), {n_samples}));
    copy_features(dataset_->features(content_key, piece.clip), piece, content[row]);
    copy_features(dataset_->features(pitch_key, piece.clip), piece, f0[row].unsqueeze(1));
    const auto own_f0 = f0[row].contiguous();
    const auto bins =
        coarse_pitch(std::span<const float>(own_f0.const_data_ptr<float>(), static_cast<std::size_t>(piece.n_frames)));
    coarse[row].narrow(0, 0, piece.n_frames).copy_(at::tensor(bins, at::kLong));
    lengths[row] = piece.n_frames;
    speaker[row] = piece.clip.speaker;
    // Mirrored padding needs more samples than it adds; shorter pieces are analysed with the silence after them.
    const auto analysed = piece.n_frames * model.hop > model.n_fft ? piece.n_frames : frames;
    const auto own = linear_spectrogram(wave[row].narrow(1, 0, analysed * model.hop), vocoder_mel(model));
    spectrum[row].narrow(1, 0, piece.n_frames).copy_(own[0].narrow(1, 0, piece.n_frames));
  }
  Batch batch;
  batch.n_items = n;
  if (shard_.size > 1) {
    batch.n_items_all = n_all;
    batch.first_item = first;
    std::vector<std::int64_t> all_lengths;
    for (const auto i : chosen) all_lengths.push_back(pieces_.pieces[i].n_frames);
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
