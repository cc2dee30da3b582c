#include "train/prepare/cut_recording.h"

#include <algorithm>
#include <cmath>
#include <future>

#include "data/audio/audio_file.h"
#include "data/audio/fate.h"
#include "data/audio/iir.h"
#include "data/audio/resample.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"
#include "tools/config/config.h"
#include "train/prepare/ahead.h"
#include "train/prepare/sample_store.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kBlock = 1 << 16;

// Decodes into `store` at the dataset's rate, filtered; what the samples showed before anything was done to them.
Assessment decode(const fs::path& recording, const PrepareConfig& config, bool is_parallel, SampleStore& store) {
  auto reader = AudioReader::open(recording);
  const auto& info = reader.info();
  FateAssessor assessor(config.fate, info.sample_rate_hz, info.n_channels);
  StreamResampler resampler(info.sample_rate_hz, config.sample_rate_hz);
  HighPass highpass(config.sample_rate_hz);
  std::vector<float> resampled;
  const auto keep = [&] {
    if (config.highpass) highpass.process(resampled);
    store.append(resampled);
    resampled.clear();
  };
  const auto read_block = [&]() -> std::optional<Waveform> {
    auto block = reader.read(kBlock);
    if (block.n_frames() == 0) return std::nullopt;
    assessor.add(block);
    return block.n_channels == 1 ? std::move(block) : mixed_to_mono(block);
  };
  Ahead<Waveform>::run(is_parallel, read_block, [&](const Waveform& mono) {
    resampler.push(mono.channel(0), resampled);
    keep();
  });
  resampler.finish(resampled);
  keep();
  return assessor.finish();
}

// The stored samples in blocks, levelled as a whole where that is asked for.
class LevelledReader {
 public:
  LevelledReader(const SampleStore& store, const PrepareConfig& config) : store_(store) {
    if (config.normalise != "pre") return;
    std::vector<float> block;
    for (std::int64_t at = 0; at < store.size(); at += kBlock) {
      block.resize(static_cast<std::size_t>(std::min(kBlock, store.size() - at)));
      store.read(at, block);
      peak_ = std::max(peak_, peak_of(std::span<const float>(block)));
    }
  }
  void read(std::int64_t first, std::span<float> out) const {
    store_.read(first, out);
    if (peak_ > 0) (void)normalise_level(out, peak_);
  }

 private:
  const SampleStore& store_;
  double peak_ = 0;  // 0 = levels stay
};

struct Cuts {
  std::vector<SampleRange> ranges;
  Fingerprint fingerprint;
};

// Calls `use` with all samples, block by block.
void read_through(const SampleStore& store, const LevelledReader& reader,
                  const std::function<void(std::span<const float>)>& use) {
  std::vector<float> block;
  for (std::int64_t at = 0; at < store.size(); at += kBlock) {
    block.resize(static_cast<std::size_t>(std::min(kBlock, store.size() - at)));
    reader.read(at, block);
    use(block);
  }
}

Cuts find_cuts(const SampleStore& store, const LevelledReader& reader, const PrepareConfig& config, bool is_parallel) {
  auto fingerprint = std::async(is_parallel ? std::launch::async : std::launch::deferred, [&] {
    Fingerprinter fingerprinter(config.sample_rate_hz);
    read_through(store, reader, [&](auto block) { fingerprinter.push(block); });
    return fingerprinter.finish();
  });
  Slicer slicer(config.slicing, config.sample_rate_hz);
  read_through(store, reader, [&](auto block) { slicer.push(block); });
  return {slicer.finish(), fingerprint.get()};
}

void drop(Part& part, const std::string& reason, std::int64_t n_samples, std::int64_t rate_hz) {
  auto& dropped = part.dropped[reason];
  ++dropped.n_slices;
  dropped.seconds += static_cast<double>(n_samples) / static_cast<double>(rate_hz);
}

struct Slice {
  SampleRange range;
  std::vector<float> samples;  // empty if it is dropped
  std::string dropped_for;     // a reason, or empty
};

// A slice's samples at the level they are stored with, or the reason it is not.
Slice read_slice(const SampleRange& range, const LevelledReader& reader, const PrepareConfig& config) {
  const auto shortest = static_cast<std::int64_t>(config.fate.min_seconds * static_cast<double>(config.sample_rate_hz));
  if (range.length() < shortest) return {range, {}, "too short"};
  std::vector<float> samples(static_cast<std::size_t>(range.length()));
  reader.read(range.first, samples);
  const double silent_peak = std::pow(10.0, config.fate.silence_db / 20);
  if (!(peak_of(std::span<const float>(samples)) >= silent_peak)) return {range, {}, "silence"};
  if (config.normalise == "post" && normalise_level(std::span(samples)) == Normalised::too_loud) {
    return {range, {}, "too loud"};
  }
  return {range, std::move(samples), ""};
}

// Writes the clips worth keeping; the others are counted by reason.
void write_clips(const Cuts& cuts, const LevelledReader& reader, const PrepareConfig& config, bool is_parallel,
                 Part& part, PartWriter& writer) {
  ContentHasher sound;
  std::size_t next = 0;
  const auto make = [&]() -> std::optional<Slice> {
    if (next == cuts.ranges.size()) return std::nullopt;
    return read_slice(cuts.ranges[next++], reader, config);
  };
  Ahead<Slice>::run(is_parallel, make, [&](const Slice& slice) {
    if (!slice.dropped_for.empty()) {
      drop(part, slice.dropped_for, slice.range.length(), config.sample_rate_hz);
      return;
    }
    part.clips.push_back({slice.range.first, slice.range.length(), writer.add(slice.samples)});
    sound.add(part.clips.back().hash);
  });
  part.sound_hash = sound.hex();
}

void judge(Part& part, Fate fate, std::string detail) {
  part.fate = name_of(fate);
  part.detail = std::move(detail);
  part.is_kept = is_kept(fate);
}

// What is in no slice is silence; a recording of which nothing is left has the fate of its slices.
void judge_what_is_left(const PrepareConfig& config, std::int64_t n_samples, Part& part) {
  double left_out = static_cast<double>(n_samples) / static_cast<double>(config.sample_rate_hz) -
                    part.kept_seconds(config.sample_rate_hz);
  for (const auto& [reason, dropped] : part.dropped) left_out -= dropped.seconds;
  if (left_out > 1e-3) part.dropped["silence"].seconds += left_out;
  if (!part.clips.empty()) return;
  if (part.dropped.contains("too short")) {
    judge(part, Fate::too_short, fmt::format("no slice reaches {} s", config.fate.min_seconds));
  } else {
    judge(part, Fate::silent, fmt::format("nothing in it is above {} dB", config.slicing.silence.threshold_db));
  }
}

}  // namespace

std::string cutting_parameters(const PrepareConfig& config) {
  PrepareConfig copy = config;
  const auto all = to_json(schema_of(copy));
  nlohmann::ordered_json chosen;
  for (const auto* name : {"sample_rate_hz", "highpass", "normalise", "slicing", "fate", "storage"}) {
    chosen[name] = all.at(name);
  }
  return chosen.dump();
}

Part cut_recording(const fs::path& recording, const PrepareConfig& config, const fs::path& part_path,
                   std::int64_t memory_samples, bool is_parallel) {
  Part part;
  SampleStore store(part_path.parent_path(), memory_samples);
  Assessment assessment;
  try {
    assessment = decode(recording, config, is_parallel, store);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
    judge(part, Fate::unreadable, error.message());
    return part;  // no part file: what cannot be read today may be readable tomorrow
  }
  part.seconds = assessment.seconds;
  judge(part, assessment.fate, assessment.reason);
  write_file_atomically(part_path, [&](const fs::path& temporary) {
    PartWriter writer(temporary, wave_storage_named(config.storage));
    if (part.is_kept) {
      const LevelledReader reader(store, config);
      auto cuts = find_cuts(store, reader, config, is_parallel);
      write_clips(cuts, reader, config, is_parallel, part, writer);
      part.fingerprint = std::move(cuts.fingerprint);
      judge_what_is_left(config, store.size(), part);
    }
    writer.finish(part);
  });
  return part;
}

}  // namespace melisma
