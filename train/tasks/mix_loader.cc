#include "train/tasks/mix_loader.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "tools/base/seed.h"

namespace melisma {
namespace mix_loader {
namespace {

at::Tensor rows_of(const Waveform& wave, std::int64_t n) {
  return at::from_blob(const_cast<float*>(wave.samples.data()), {wave.n_channels, n}).clone();
}

// Stereo of one channel or two.
at::Tensor stereo_of(const Waveform& wave, std::int64_t n) {
  const auto rows = rows_of(wave, n);
  return wave.n_channels == 2 ? rows : rows.expand({2, n}).contiguous();
}

// Where an excerpt of n samples may begin in a song of `length`; the only place of a shorter one is its beginning.
std::int64_t random_first(RandomSource& random, std::int64_t length, std::int64_t n) {
  return length <= n ? 0 : static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(length - n + 1)));
}

}  // namespace
}  // namespace mix_loader

MixExcerpt excerpt_of(const Dataset& dataset, const Song& song, std::int64_t first, std::int64_t count,
                      std::int64_t max_tracks) {
  std::vector<at::Tensor> rows;
  for (const auto& wave : dataset.excerpts(song, first, count)) rows.push_back(mix_loader::rows_of(wave, count));
  auto tracks = at::cat(rows);
  if (tracks.size(0) > max_tracks) {
    const auto rest = tracks.narrow(0, max_tracks - 1, tracks.size(0) - max_tracks + 1).sum(0, true);
    tracks = at::cat({tracks.narrow(0, 0, max_tracks - 1), rest});
  }
  return {tracks, mix_loader::stereo_of(dataset.excerpt(*song.mix, first, count), count)};
}

MixLoader::MixLoader(std::shared_ptr<const Dataset> dataset, const MixSettings& settings, std::vector<Song> songs,
                     const Shard& shard)
    : dataset_(std::move(dataset)), settings_(settings), songs_(std::move(songs)), shard_(shard) {}

std::int64_t MixLoader::n_batches(std::int64_t) const {
  const auto& data = settings_.data;
  return (data.excerpts_per_epoch + data.batch_size - 1) / data.batch_size;
}

std::int64_t MixLoader::n_tracks(const Song& song) const {
  std::int64_t n = 0;
  for (const auto& track : song.tracks) n += track.n_channels;
  return std::min(n, settings_.data.max_tracks);
}

// Songs come in random order, all of them before one comes again; where in a song is drawn for each excerpt.
std::vector<MixLoader::Choice> MixLoader::choices(std::int64_t epoch, std::int64_t index) const {
  const auto& data = settings_.data;
  const auto first = index * data.batch_size, last = std::min(first + data.batch_size, data.excerpts_per_epoch);
  const auto n_songs = std::ssize(songs_);
  std::vector<Choice> chosen;
  for (auto item = first; item < last; ++item) {
    RandomSource order(seed_of(settings_.trainer.seed, "songs", {epoch, item / n_songs}));
    const auto row = order.permutation(n_songs)[static_cast<std::size_t>(item % n_songs)];
    const auto& song = songs_[static_cast<std::size_t>(row)];
    RandomSource random(seed_of(settings_.trainer.seed, "excerpt", {epoch, item}));
    Choice choice{&song, mix_loader::random_first(random, song.length(), data.excerpt_samples), 0, 0};
    choice.reference_first = mix_loader::random_first(random, song.mix->length, data.excerpt_samples);
    choice.gain_seed = random.next();
    chosen.push_back(choice);
  }
  return chosen;
}

Batch MixLoader::batch(std::int64_t epoch, std::int64_t index) const {
  const c10::NoGradGuard no_grad;
  const auto& data = settings_.data;
  const auto chosen = choices(epoch, index);
  const auto n_all = std::ssize(chosen), n = shard_.count_of(n_all), first = shard_.first_of(n_all);
  std::int64_t most = 1;
  for (const auto& choice : chosen) most = std::max(most, n_tracks(*choice.song));
  const auto samples = data.excerpt_samples;
  const auto tracks = at::zeros({n, most, samples}), mix = at::empty({n, 2, samples});
  const auto present = at::zeros({n, most}, at::kBool);
  RandomSource whether(seed_of(settings_.trainer.seed, "reference", {epoch, index}));
  const bool has_reference = whether.uniform() < data.reference_share;
  const auto reference = has_reference ? at::empty({n, 2, samples}) : at::Tensor();
  for (std::int64_t row = 0; row < n; ++row) {
    const auto& choice = chosen[static_cast<std::size_t>(first + row)];
    const auto excerpt = excerpt_of(*dataset_, *choice.song, choice.first, samples, data.max_tracks);
    RandomSource gains(choice.gain_seed);
    for (std::int64_t track = 0; track < excerpt.tracks.size(0); ++track) {
      const double gain_db = data.random_gain_db * (2 * gains.uniform() - 1);
      tracks[row][track].copy_(excerpt.tracks[track] * std::pow(10, gain_db / 20));
    }
    present[row].narrow(0, 0, excerpt.tracks.size(0)).fill_(true);
    mix[row].copy_(excerpt.mix);
    if (has_reference) {
      const auto wave = dataset_->excerpt(*choice.song->mix, choice.reference_first, samples);
      reference[row].copy_(mix_loader::stereo_of(wave, samples));
    }
  }
  Batch batch;
  batch.n_items = n;
  if (shard_.size > 1) {
    batch.n_items_all = n_all;
    batch.first_item = first;
  }
  batch.add("tracks", tracks);
  batch.add("present", present);
  batch.add("mix", mix);
  if (has_reference) batch.add("reference", reference);
  return batch;
}

}  // namespace melisma
