#include "train/prepare/convert_track.h"

#include "data/audio/audio_file.h"
#include "data/audio/resample.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"
#include "tools/config/config.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kBlock = 1 << 16;
constexpr std::int64_t kMostChannels = 2;

// Blocks of all channels at the dataset's rate become clips of one channel each.
class BlockStore {
 public:
  BlockStore(std::int64_t n_channels, const SongConfig& config, PartWriter& writer, Part& part)
      : storage_(wave_storage_named(config.storage)),
        writer_(writer),
        part_(part),
        hashers_(static_cast<std::size_t>(n_channels)) {
    part_.n_channels = n_channels;
  }
  // channels: equally many new samples of each.
  void add(const std::vector<std::vector<float>>& channels) {
    const auto count = std::ssize(channels.front());
    if (count == 0) return;
    for (std::size_t c = 0; c < channels.size(); ++c) {
      hashers_[c].add(stored_bytes(channels[c], storage_));
      part_.clips.push_back({n_frames_, count, writer_.add(channels[c])});
    }
    n_frames_ += count;
  }
  void finish() { part_.sound_hash = track_hash(hashers_); }

 private:
  WaveStorage storage_;
  PartWriter& writer_;
  Part& part_;
  std::vector<ContentHasher> hashers_;
  std::int64_t n_frames_ = 0;
};

// Decodes into `store`; what the samples showed before anything was done to them.
Assessment decode(AudioReader& reader, const SongConfig& config, BlockStore& store) {
  const auto& info = reader.info();
  FateAssessor assessor(config.fate, info.sample_rate_hz, info.n_channels);
  std::vector<StreamResampler> resamplers;
  for (std::int64_t c = 0; c < info.n_channels; ++c) {
    resamplers.emplace_back(info.sample_rate_hz, config.sample_rate_hz);
  }
  std::vector<std::vector<float>> made(resamplers.size());
  const auto keep = [&] {
    store.add(made);
    for (auto& channel : made) channel.clear();
  };
  for (auto block = reader.read(kBlock); block.n_frames() > 0; block = reader.read(kBlock)) {
    assessor.add(block);
    for (std::size_t c = 0; c < made.size(); ++c) {
      resamplers[c].push(block.channel(static_cast<std::int64_t>(c)), made[c]);
    }
    keep();
  }
  for (std::size_t c = 0; c < made.size(); ++c) resamplers[c].finish(made[c]);
  keep();
  return assessor.finish();
}

void judge(Part& part, const Assessment& assessment) {
  part.fate = name_of(assessment.fate);
  part.detail = assessment.reason;
  part.is_kept = is_kept(assessment.fate);
  part.seconds = assessment.seconds;
}

}  // namespace

std::int64_t n_frames_of(const Part& part) {
  std::int64_t n_samples = 0;
  for (const auto& clip : part.clips) n_samples += clip.length;
  return n_samples / part.n_channels;
}

std::string converting_parameters(const SongConfig& config, const TrackSource& track) {
  SongConfig copy = config;
  const auto all = to_json(schema_of(copy));
  nlohmann::ordered_json chosen;
  for (const auto* name : {"sample_rate_hz", "fate", "storage"}) chosen[name] = all.at(name);
  chosen["what"] = "track";
  chosen["stream"] = track.stream;
  return chosen.dump();
}

Part convert_track(const TrackSource& track, const SongConfig& config, const fs::path& part_path) {
  Part part;
  try {
    write_file_atomically(part_path, [&](const fs::path& temporary) {
      auto reader =
          track.stream < 0 ? AudioReader::open(track.path) : AudioReader::open_stream(track.path, track.stream);
      const auto n_channels = reader.info().n_channels;
      if (n_channels > kMostChannels) {
        fail(ErrorKind::data, "it has {} channels, a track has one or two; mix it down", n_channels);
      }
      PartWriter writer(temporary, wave_storage_named(config.storage));
      BlockStore store(n_channels, config, writer, part);
      judge(part, decode(reader, config, store));
      store.finish();
      writer.finish(part);
    });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
    part = {};
    judge(part, unreadable(error.message()));  // no part file: what cannot be read today may be readable tomorrow
  }
  return part;
}

}  // namespace melisma
