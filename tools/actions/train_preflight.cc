#include "tools/actions/train_preflight.h"

#include <fmt/format.h>

#include <map>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"

namespace melisma {

namespace train_preflight {
namespace {

// All tracks of a song are on one side; what could leak is a song that is there twice.
void check_songs(const Dataset& dataset) {
  const auto file = dataset.path().string();
  std::map<Split, std::int64_t> n_songs;
  std::map<std::string, const Song*> train_by_hash;
  for (const auto& song : dataset.songs()) {
    n_songs[song.split] += 1;
    if (song.split != Split::train) continue;
    for (const auto& track : song.tracks) train_by_hash.emplace(track.hash, &song);
  }
  for (const auto split : {Split::train, Split::validation}) {
    if (n_songs[split] > 0) continue;
    fail(ErrorKind::data,
         "'{}' has no songs in its {} split: expected at least one, found {} train, {} validation, {} test; prepare "
         "more "
         "songs, or other shares of the split",
         file, name_of(split), n_songs[Split::train], n_songs[Split::validation], n_songs[Split::test]);
  }
  for (const auto& song : dataset.songs()) {
    if (song.split == Split::train) continue;
    for (const auto& track : song.tracks) {
      const auto same = train_by_hash.find(track.hash);
      if (same == train_by_hash.end()) continue;
      fail(ErrorKind::data,
           "'{}' is not held out: track '{}' of '{}' ({} split) has the same sound as one of '{}' (train split); "
           "prepare "
           "the dataset again",
           file, track.name, song.name, name_of(song.split), same->second->name);
    }
  }
}

}  // namespace
}  // namespace train_preflight

void check_splits(const Dataset& dataset) {
  if (dataset.kind() == DatasetKind::multitrack) {
    train_preflight::check_songs(dataset);
    return;
  }
  const auto file = dataset.path().string();
  std::map<Split, std::int64_t> n_clips;
  std::map<std::string, const Clip*> train_by_hash, train_by_recording;
  for (const auto& clip : dataset.clips()) {
    n_clips[clip.split] += 1;
    if (clip.split != Split::train) continue;
    train_by_hash.emplace(clip.hash, &clip);
    train_by_recording.emplace(clip.recording, &clip);
  }
  for (const auto split : {Split::train, Split::validation}) {
    if (n_clips[split] > 0) continue;
    fail(ErrorKind::data,
         "'{}' has no clips in its {} split: expected at least one, found {} train, {} validation, {} test; prepare "
         "more "
         "recordings, or other shares of the split",
         file, name_of(split), n_clips[Split::train], n_clips[Split::validation], n_clips[Split::test]);
  }
  for (const auto& clip : dataset.clips()) {
    if (clip.split == Split::train) continue;
    const auto same = train_by_hash.find(clip.hash);
    const auto recording = train_by_recording.find(clip.recording);
    if (same == train_by_hash.end() && recording == train_by_recording.end()) continue;
    const auto* train = same != train_by_hash.end() ? same->second : recording->second;
    fail(ErrorKind::data,
         "'{}' is not held out: clip {} of '{}' ({} split) {} clip {} of '{}' (train split); prepare the dataset again",
         file, clip.index, clip.recording, name_of(clip.split),
         same != train_by_hash.end() ? "has the same sound as" : "is of the same recording as", train->index,
         train->recording);
  }
}

std::uintmax_t checkpoint_bytes(Task& task, const TrainerConfig& config) {
  std::uintmax_t bytes = 1 << 16;  // state, index and headers
  for (const auto& network : task.networks()) {
    std::uintmax_t weights = 0;
    for (const auto& [name, tensor] : network.module->state_dict()) weights += tensor.nbytes();
    const bool is_averaged = config.ema_decay > 0 && network.name == task.main_network();
    bytes += weights * (is_averaged ? 4 : 3);  // weights, two moments, the average
  }
  return bytes;
}

void check_free_disk(const std::filesystem::path& folder, Task& task, const TrainingPlan& plan) {
  const auto each = checkpoint_bytes(task, plan.trainer);
  const auto kept = static_cast<std::uintmax_t>(plan.checkpoints.keep_last + plan.checkpoints.keep_best);
  const auto needed = each * (kept + 1);
  const auto free = free_bytes_at(folder);
  if (free >= needed) return;
  fail(ErrorKind::device,
       "not enough room for checkpoints in '{}': {} free, expected at least {} ({} kept and one being written, {} "
       "each); "
       "free space, lower checkpoints.keep_best, or name another --workspace",
       folder.string(), format_bytes(free), format_bytes(needed), kept, format_bytes(each));
}

}  // namespace melisma
