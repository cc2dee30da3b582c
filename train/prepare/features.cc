#include "train/prepare/features.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "data/audio/resample.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"
#include "train/prepare/parallel.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kFeatureWaveRateHz = 16000;

fs::path block_path(const PreparedRecording& recording, const FeatureKey& key, std::size_t block) {
  auto path = recording.part_path;
  return path.replace_extension(fmt::format("{}-{}.features", key.parameter_hash(), block));
}

std::size_t n_blocks(const PreparedRecording& recording) {
  return (recording.part.clips.size() + kClipsPerBlock - 1) / kClipsPerBlock;
}

// Clips [first, last) of a block.
std::pair<std::size_t, std::size_t> clips_of_block(const PreparedRecording& recording, std::size_t block) {
  const auto first = block * kClipsPerBlock;
  return {first, std::min(first + kClipsPerBlock, recording.part.clips.size())};
}

// A block file: for each clip the number of frames and the width (int64), then the values.
std::string packed(std::span<const FeatureMatrix> matrices) {
  std::string bytes;
  for (const auto& matrix : matrices) {
    const std::int64_t sizes[] = {matrix.n_frames, matrix.width};
    bytes.append(reinterpret_cast<const char*>(sizes), sizeof sizes);
    bytes.append(reinterpret_cast<const char*>(matrix.values.data()), matrix.values.size() * sizeof(float));
  }
  return bytes;
}

std::vector<FeatureMatrix> unpacked(const std::string& bytes, std::size_t count, const fs::path& path) {
  const auto damaged = [&] { fail(ErrorKind::data, "'{}' is damaged; delete it and run again", path.string()); };
  std::vector<FeatureMatrix> matrices(count);
  std::size_t at = 0;
  for (auto& matrix : matrices) {
    std::int64_t sizes[2];
    if (bytes.size() - at < sizeof sizes) damaged();
    std::memcpy(sizes, bytes.data() + at, sizeof sizes);
    at += sizeof sizes;
    const auto n_values = static_cast<std::size_t>(sizes[0] * sizes[1]);
    if (sizes[0] < 0 || sizes[1] < 0 || (bytes.size() - at) / sizeof(float) < n_values) damaged();
    matrix = {std::vector<float>(n_values), sizes[0], sizes[1]};
    std::memcpy(matrix.values.data(), bytes.data() + at, n_values * sizeof(float));
    at += n_values * sizeof(float);
  }
  return matrices;
}

// Exactly the rows that a clip of this length has; rounding at 16 kHz may have given one more.
FeatureMatrix fitted(FeatureMatrix made, std::int64_t n_frames, const FeatureMaker& maker) {
  const auto n_rows = n_feature_rows(n_frames, maker.frames_a_row);
  const bool has_width = maker.normaliser ? made.width > 0 : made.width == maker.width;
  if (!has_width || made.n_frames < n_rows) {
    fail(ErrorKind::internal, "{} features are {} x {}, expected at least {} x {}", maker.key.kind, made.n_frames,
         made.width, n_rows, maker.width);
  }
  made.n_frames = n_rows;
  made.values.resize(static_cast<std::size_t>(n_rows * made.width));
  return made;
}

struct BlockTask {
  const PreparedRecording* recording;
  std::size_t block;
  double seconds;
  std::vector<const FeatureMaker*> missing;
};

void make_block(const BlockTask& task, std::int64_t sample_rate_hz, WaveStorage storage) {
  const auto& recording = *task.recording;
  const PartReader reader(recording.part_path, recording.part, storage);
  std::vector<std::vector<float>> waves_16k;
  std::vector<std::int64_t> n_frames;
  const auto [first, last] = clips_of_block(recording, task.block);
  for (auto clip = first; clip < last; ++clip) {
    const auto samples = reader.samples(clip);
    waves_16k.push_back(resample(std::span(samples), sample_rate_hz, kFeatureWaveRateHz));
    n_frames.push_back(n_feature_frames(std::ssize(samples), sample_rate_hz));
  }
  for (const auto* maker : task.missing) {
    auto made = maker->extract(waves_16k);
    for (std::size_t i = 0; i < made.size(); ++i) made[i] = fitted(std::move(made[i]), n_frames.at(i), *maker);
    write_file_atomically(block_path(recording, maker->key, task.block), packed(made));
  }
}

// Blocks of which a feature set is missing, in order.
std::vector<BlockTask> missing_blocks(std::span<const PreparedRecording> recordings,
                                      std::span<const FeatureMaker> makers, std::int64_t sample_rate_hz,
                                      BlockCounts& counts) {
  std::vector<BlockTask> tasks;
  for (const auto& recording : recordings) {
    for (std::size_t block = 0; block < n_blocks(recording); ++block) {
      BlockTask task{&recording, block, 0, {}};
      for (const auto& maker : makers) {
        const bool is_there = fs::exists(block_path(recording, maker.key, block));
        if (!is_there) task.missing.push_back(&maker);
        ++(is_there ? counts.found : counts.made);
      }
      const auto [first, last] = clips_of_block(recording, block);
      for (auto clip = first; clip < last; ++clip) {
        task.seconds += static_cast<double>(recording.part.clips[clip].length) / static_cast<double>(sample_rate_hz);
      }
      if (!task.missing.empty()) tasks.push_back(std::move(task));
    }
  }
  return tasks;
}

}  // namespace

std::vector<FeatureMatrix> read_feature_block(const PreparedRecording& recording, const FeatureKey& key,
                                              std::size_t block) {
  const auto path = block_path(recording, key, block);
  const auto [first, last] = clips_of_block(recording, block);
  return unpacked(read_file(path), last - first, path);
}

bool has_any_value(std::span<const PreparedRecording> recordings, const FeatureKey& key) {
  for (const auto& recording : recordings) {
    for (std::size_t block = 0; block < n_blocks(recording); ++block) {
      for (const auto& matrix : read_feature_block(recording, key, block)) {
        if (std::any_of(matrix.values.begin(), matrix.values.end(), [](float value) { return value != 0; }))
          return true;
      }
    }
  }
  return false;
}

BlockCounts make_features(std::span<const PreparedRecording> recordings, std::span<const FeatureMaker> makers,
                          std::int64_t sample_rate_hz, WaveStorage storage, int threads, EventSink& events) {
  BlockCounts counts;
  const auto tasks = missing_blocks(recordings, makers, sample_rate_hz, counts);
  double total = 0, done = 0;
  for (const auto& task : tasks) total += task.seconds;
  std::mutex mutex;
  const auto work = [&](std::size_t i) {
    make_block(tasks[i], sample_rate_hz, storage);
    const std::lock_guard lock(mutex);
    done += tasks[i].seconds;
    events.receive(ProgressEvent{"making features", done, total, "s of audio", {}});
  };
  if (!for_each_parallel(tasks.size(), threads, work)) {
    throw Error::interrupted(stop_requested(),
                             fmt::format("stopped with features of {:.0f} of {:.0f} s made; the same command continues "
                                         "from here",
                                         done, total));
  }
  return counts;
}

std::unique_ptr<SpeakerNormaliser> normaliser_of(std::span<const PreparedRecording> recordings, std::int64_t speaker,
                                                 const FeatureMaker& maker) {
  const bool has_training = std::any_of(recordings.begin(), recordings.end(), [&](const PreparedRecording& recording) {
    return recording.speaker == speaker && recording.split == Split::train;
  });
  auto normaliser = maker.normaliser();
  for (const auto& recording : recordings) {
    if (recording.speaker != speaker || (has_training && recording.split != Split::train)) continue;
    for (std::size_t block = 0; block < n_blocks(recording); ++block) {
      // One matrix a block: what is loud is judged over three quarters of a minute, not within a single clip.
      FeatureMatrix joined;
      for (const auto& raw : read_feature_block(recording, maker.key, block)) {
        joined.values.insert(joined.values.end(), raw.values.begin(), raw.values.end());
        joined.n_frames += raw.n_frames;
        joined.width = raw.width;
      }
      normaliser->add(joined);
    }
  }
  return normaliser;
}

}  // namespace melisma
