#include "train/prepare/song_features.h"

#include <algorithm>

#include "tools/base/error.h"
#include "tools/base/stop.h"
#include "train/prepare/convert_track.h"
#include "train/prepare/parallel.h"

namespace melisma {
namespace {

std::vector<float> features_of(const PreparedTrack& track, const SongFeatureMaker& maker, WaveStorage storage) {
  const PartReader reader(track.path, *track.part, storage);
  const auto features = maker.start();
  const auto n_channels = static_cast<std::size_t>(track.part->n_channels);
  for (std::size_t clip = 0; clip < track.part->clips.size(); clip += n_channels) {
    auto mono = reader.samples(clip);
    for (std::size_t c = 1; c < n_channels; ++c) {
      const auto channel = reader.samples(clip + c);
      for (std::size_t i = 0; i < mono.size(); ++i) mono[i] += channel[i];
    }
    for (auto& sample : mono) sample /= static_cast<float>(n_channels);
    features->push(mono);
  }
  return features->finish();
}

}  // namespace

void write_song_features(DatasetWriter& writer, std::span<const PreparedTrack> tracks, const SongFeatureMaker& maker,
                         WaveStorage storage, int threads) {
  FeaturePlan plan{.key = maker.key, .width = maker.width, .storage = maker.storage};
  for (const auto& track : tracks) plan.frames.push_back(maker.n_rows(n_frames_of(*track.part)));
  writer.begin_features(plan);
  const auto at_once = static_cast<std::size_t>(std::max(threads, 1));
  for (std::size_t first = 0; first < tracks.size(); first += at_once) {
    std::vector<std::vector<float>> made(std::min(at_once, tracks.size() - first));
    const bool is_done = for_each_parallel(
        made.size(), threads, [&](std::size_t i) { made[i] = features_of(tracks[first + i], maker, storage); });
    if (!is_done) {
      throw Error::interrupted(stop_requested(),
                               "stopped while features were made; the same command continues from here");
    }
    for (std::size_t i = 0; i < made.size(); ++i) {
      writer.write_features(maker.key, static_cast<std::int64_t>(first + i), made[i]);
    }
  }
}

}  // namespace melisma
