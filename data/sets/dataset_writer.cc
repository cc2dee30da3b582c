#include "data/sets/dataset_writer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>

#include "data/sets/dataset_layout.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"
#include "tools/base/table.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

struct StorageRow {
  std::string_view name;
  WaveStorage storage;
};
constexpr std::array kStorages{StorageRow{"int16", WaveStorage::int16}, StorageRow{"float32", WaveStorage::float32}};

// One column of /clips or /recordings.
template <class Rows, class Get>
void write_numbers(Hdf5File& file, const std::string& item, const Rows& rows, Get get) {
  using Value = decltype(get(rows.front()));
  std::vector<Value> column;
  for (const auto& row : rows) column.push_back(get(row));
  file.write<Value>(item, column);
}

template <class Rows, class Get>
void write_texts(Hdf5File& file, const std::string& item, const Rows& rows, Get get) {
  std::vector<std::string> column;
  for (const auto& row : rows) column.emplace_back(get(row));
  file.write_text(item, column);
}

void write_clips(Hdf5File& file, const std::vector<Clip>& clips) {
  write_texts(file, "/clips/recording", clips, [](const Clip& c) { return c.recording; });
  write_numbers(file, "/clips/recording_offset", clips, [](const Clip& c) { return c.recording_offset; });
  write_numbers(file, "/clips/speaker", clips, [](const Clip& c) { return c.speaker; });
  write_numbers(file, "/clips/offset", clips, [](const Clip& c) { return c.offset; });
  write_numbers(file, "/clips/length", clips, [](const Clip& c) { return c.length; });
  write_texts(file, "/clips/hash", clips, [](const Clip& c) { return c.hash; });
  write_texts(file, "/clips/split", clips, [](const Clip& c) { return name_of(c.split); });
}

void write_recordings(Hdf5File& file, const std::vector<RecordingRow>& rows) {
  write_texts(file, "/recordings/path", rows, [](const RecordingRow& r) { return r.path; });
  write_texts(file, "/recordings/speaker", rows, [](const RecordingRow& r) { return r.speaker; });
  write_texts(file, "/recordings/fate", rows, [](const RecordingRow& r) { return r.fate; });
  write_texts(file, "/recordings/detail", rows, [](const RecordingRow& r) { return r.detail; });
  write_texts(file, "/recordings/split", rows, [](const RecordingRow& r) { return r.split; });
  write_numbers(file, "/recordings/seconds", rows, [](const RecordingRow& r) { return r.seconds; });
  write_numbers(file, "/recordings/kept_seconds", rows, [](const RecordingRow& r) { return r.kept_seconds; });
  write_numbers(file, "/recordings/n_clips", rows, [](const RecordingRow& r) { return r.n_clips; });
  write_numbers(file, "/recordings/duplicate_group", rows, [](const RecordingRow& r) { return r.duplicate_group; });
}

void write_songs(Hdf5File& file, std::vector<Song> songs) {
  write_texts(file, "/songs/name", songs, [](const Song& s) { return s.name; });
  write_texts(file, "/songs/artist", songs, [](const Song& s) { return s.artist; });
  write_texts(file, "/songs/split", songs, [](const Song& s) { return name_of(s.split); });
  std::vector<std::int64_t> song_of, is_mix;
  for (const auto& song : songs) {
    song_of.insert(song_of.end(), song.tracks.size() + (song.mix ? 1 : 0), song.index);
    is_mix.insert(is_mix.end(), song.tracks.size(), 0);
    if (song.mix) is_mix.push_back(1);
  }
  file.write<std::int64_t>("/tracks/song", song_of);
  file.write<std::int64_t>("/tracks/is_mix", is_mix);
  const auto tracks = tracks_of(songs);
  write_texts(file, "/tracks/name", tracks, [](const Track* t) { return t->name; });
  write_texts(file, "/tracks/stem", tracks, [](const Track* t) { return t->stem; });
  write_texts(file, "/tracks/recording", tracks, [](const Track* t) { return t->recording; });
  write_texts(file, "/tracks/hash", tracks, [](const Track* t) { return t->hash; });
  write_numbers(file, "/tracks/channels", tracks, [](const Track* t) { return t->n_channels; });
  write_numbers(file, "/tracks/start", tracks, [](const Track* t) { return t->start; });
  write_numbers(file, "/tracks/length", tracks, [](const Track* t) { return t->length; });
  write_numbers(file, "/tracks/offset", tracks, [](const Track* t) { return t->offset; });
}

// Which rows of /clips or /songs are on which side.
template <class Rows>
void write_splits(Hdf5File& file, const Rows& all, const std::string& hash) {
  for (const auto split : {Split::train, Split::validation, Split::test}) {
    std::vector<std::int64_t> rows;
    for (const auto& row : all) {
      if (row.split == split) rows.push_back(row.index);
    }
    file.write<std::int64_t>("/splits/" + std::string(name_of(split)), rows);
  }
  file.set_attribute("/splits", "hash", hash);
}

}  // namespace

std::string_view name_of(WaveStorage storage) { return storage == WaveStorage::int16 ? "int16" : "float32"; }

WaveStorage wave_storage_named(std::string_view name) { return find_row(kStorages, name, "wave storage").storage; }

std::int16_t to_int16(float sample) {
  const float scaled = std::nearbyint(sample * 32768.0F);
  return static_cast<std::int16_t>(std::clamp(scaled, -32768.0F, 32767.0F));
}

std::vector<std::byte> stored_bytes(std::span<const float> samples, WaveStorage storage) {
  if (storage == WaveStorage::float32) {
    const auto bytes = std::as_bytes(samples);
    return {bytes.begin(), bytes.end()};
  }
  std::vector<std::byte> bytes(samples.size() * sizeof(std::int16_t));
  auto* out = bytes.data();
  for (const auto sample : samples) {
    const auto value = to_int16(sample);
    std::memcpy(out, &value, sizeof value);
    out += sizeof value;
  }
  return bytes;
}

namespace {

struct EightBits {
  std::vector<std::uint8_t> codes;
  double lowest = 0, step = 0;
  double largest_error = 0;
};

// 256 even steps from the smallest value to the largest. A value that is not finite makes the step so.
EightBits in_eight_bits(std::span<const float> values) {
  EightBits made{.codes = std::vector<std::uint8_t>(values.size())};
  if (values.empty()) return made;
  double highest = made.lowest = values.front();
  for (const double value : values) {
    if (!std::isfinite(value)) return {.step = value};
    made.lowest = std::min(made.lowest, value);
    highest = std::max(highest, value);
  }
  made.step = (highest - made.lowest) / 255;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double code = made.step > 0 ? std::nearbyint((values[i] - made.lowest) / made.step) : 0;
    made.codes[i] = static_cast<std::uint8_t>(std::clamp(code, 0.0, 255.0));
    made.largest_error = std::max(made.largest_error, std::abs(made.lowest + made.step * made.codes[i] - values[i]));
  }
  return made;
}

}  // namespace

struct DatasetWriter::State {
  Hdf5File& file;
  std::vector<Clip>& clips;
  std::vector<Track*> tracks = {};
  std::optional<WaveStorage> storage = {};   // nothing while features are added to a finished dataset
  std::vector<std::int64_t> n_written = {};  // frames of each clip or track that are there
  std::int64_t track_under_way = -1;
  std::vector<ContentHasher> hashers = {};  // of that track, one a channel

  [[nodiscard]] std::size_t n_items() const { return tracks.empty() ? clips.size() : tracks.size(); }
  // Stores samples as /wave does; `hash` is called with their bytes.
  void store(std::int64_t first, std::span<const float> samples,
             const std::function<void(std::span<const std::byte>)>& hash) const;
  struct Features {
    std::int64_t width = 0;
    std::vector<std::int64_t> rows, offsets;
    std::vector<double> lowest, step;  // of eight bits; empty otherwise
    double largest_error = 0;
  };
  std::map<std::string, Features> features = {};  // by group

  // What is only known once all features are written.
  void finish_features() const;
};

void DatasetWriter::State::finish_features() const {
  for (const auto& [group, set] : features) {
    if (set.lowest.empty()) continue;
    file.write<double>(group + "/" + layout::kLowest, set.lowest);
    file.write<double>(group + "/" + layout::kStep, set.step);
    file.set_real_attribute(group, layout::kLargestError, set.largest_error);
  }
}

void DatasetWriter::State::store(std::int64_t first, std::span<const float> samples,
                                 const std::function<void(std::span<const std::byte>)>& hash) const {
  if (storage == WaveStorage::float32) {
    hash(std::as_bytes(samples));
    file.write_rows<float>("/wave", first, samples);
    return;
  }
  std::vector<std::int16_t> stored(samples.size());
  std::transform(samples.begin(), samples.end(), stored.begin(), to_int16);
  hash(std::as_bytes(std::span(stored)));
  file.write_rows<std::int16_t>("/wave", first, stored);
}

void DatasetWriter::write_wave(std::int64_t clip, std::span<const float> samples) {
  auto& row = state_->clips.at(static_cast<std::size_t>(clip));
  if (static_cast<std::int64_t>(samples.size()) != row.length) {
    fail(ErrorKind::internal, "clip {} has {} samples, but {} were written", clip, row.length, samples.size());
  }
  state_->store(row.offset, samples, [&](std::span<const std::byte> bytes) { row.hash = content_hash(bytes); });
  state_->n_written[static_cast<std::size_t>(clip)] = row.length;
}

void DatasetWriter::write_track(const Track& track, const Waveform& block) {
  auto& row = *state_->tracks.at(static_cast<std::size_t>(track.index));
  auto& written = state_->n_written[static_cast<std::size_t>(track.index)];
  if (block.n_channels != row.n_channels || written + block.n_frames() > row.length) {
    fail(ErrorKind::internal, "track {} has {} channels of {} frames, but {} channels up to frame {} were written",
         track.index, row.n_channels, row.length, block.n_channels, written + block.n_frames());
  }
  if (written > 0 && state_->track_under_way != track.index) {
    fail(ErrorKind::internal, "track {} goes on at frame {} after track {} was begun", track.index, written,
         state_->track_under_way);
  }
  if (written == 0) {
    state_->track_under_way = track.index;
    state_->hashers.clear();
    for (std::int64_t c = 0; c < row.n_channels; ++c) state_->hashers.emplace_back();
  }
  for (std::int64_t c = 0; c < row.n_channels; ++c) {
    auto& hasher = state_->hashers[static_cast<std::size_t>(c)];
    state_->store(row.offset + c * row.length + written, block.channel(c),
                  [&](std::span<const std::byte> bytes) { hasher.add(bytes); });
  }
  written += block.n_frames();
  if (written == row.length) row.hash = track_hash(state_->hashers);
}

void DatasetWriter::begin_features(const FeaturePlan& plan) {
  if (plan.frames.size() != state_->n_items()) {
    fail(ErrorKind::internal, "features for {} clips or tracks were planned, the dataset has {}", plan.frames.size(),
         state_->n_items());
  }
  State::Features made{.width = plan.width};
  std::int64_t total = 0;
  for (const auto frames : plan.frames) {
    made.offsets.push_back(total);
    made.rows.push_back(n_feature_rows(frames, plan.frames_a_row));
    total += made.rows.back();
  }
  const auto group = layout::features_of(plan.key);
  const std::vector<std::int64_t> shape{total, plan.width};
  if (plan.storage == FeatureStorage::eight_bit) {
    made.lowest.resize(plan.frames.size());
    made.step.resize(plan.frames.size());
    state_->file.reserve<std::uint8_t>(group + "/values", shape);
  } else {
    state_->file.reserve<float>(group + "/values", shape);
  }
  state_->file.write<std::int64_t>(group + "/offsets", made.offsets);
  state_->file.write<std::int64_t>(group + "/frames", made.rows);
  state_->file.set_attribute(group, "parameters", plan.key.parameters);
  if (plan.frames_a_row != 1) state_->file.set_attribute(group, layout::kFramesARow, plan.frames_a_row);
  state_->features.emplace(group, std::move(made));
}

void DatasetWriter::write_features(const FeatureKey& key, std::int64_t item, std::span<const float> values) {
  const auto group = layout::features_of(key);
  auto& plan = state_->features.at(group);
  const auto i = static_cast<std::size_t>(item);
  const auto wanted = plan.rows.at(i) * plan.width;
  if (static_cast<std::int64_t>(values.size()) != wanted) {
    fail(ErrorKind::internal, "{} features of row {} have {} values, expected {} rows x {}", key.kind, item,
         values.size(), plan.rows[i], plan.width);
  }
  if (plan.lowest.empty()) {
    state_->file.write_rows<float>(group + "/values", plan.offsets[i], values);
    return;
  }
  const auto coded = in_eight_bits(values);
  if (!std::isfinite(coded.step)) fail(ErrorKind::internal, "{} features of row {} are not finite", key.kind, item);
  plan.lowest[i] = coded.lowest;
  plan.step[i] = coded.step;
  plan.largest_error = std::max(plan.largest_error, coded.largest_error);
  state_->file.write_rows<std::uint8_t>(group + "/values", plan.offsets[i], coded.codes);
}

std::string track_hash(std::span<const ContentHasher> channels) {
  if (channels.size() == 1) return channels.front().hex();
  std::string all;
  for (const auto& channel : channels) all += channel.hex();
  return content_hash(all);
}

std::vector<Track*> tracks_of(std::vector<Song>& songs) {
  std::vector<Track*> tracks;
  for (auto& song : songs) {
    for (auto& track : song.tracks) tracks.push_back(&track);
    if (song.mix) tracks.push_back(&*song.mix);
  }
  return tracks;
}

std::int64_t number_songs(std::vector<Song>& songs) {
  for (std::size_t i = 0; i < songs.size(); ++i) songs[i].index = static_cast<std::int64_t>(i);
  std::int64_t next = 0, total = 0;
  for (auto* track : tracks_of(songs)) {
    track->index = next++;
    track->offset = total;
    total += track->n_channels * track->length;
  }
  return total;
}

namespace {

// Gives clips their rows and their places in /wave; returns the samples in all.
std::int64_t number_clips(std::vector<Clip>& clips) {
  std::int64_t total = 0;
  for (std::size_t i = 0; i < clips.size(); ++i) {
    clips[i].index = static_cast<std::int64_t>(i);
    clips[i].offset = total;
    total += clips[i].length;
  }
  return total;
}

// Every clip or track was given all its samples.
void check_complete(const DatasetPlan& plan, const std::vector<Track*>& tracks, std::span<const std::int64_t> written) {
  for (std::size_t i = 0; i < written.size(); ++i) {
    const auto wanted = tracks.empty() ? plan.clips[i].length : tracks[i]->length;
    if (written[i] == wanted) continue;
    fail(ErrorKind::internal, "{} {} has {} of {} frames", tracks.empty() ? "clip" : "track", i, written[i], wanted);
  }
}

// What is not samples or features: rows, sides, the ledger, attributes.
void write_tables(Hdf5File& file, const DatasetPlan& plan) {
  const bool has_songs = !plan.songs.empty();
  const auto hashes = has_songs ? layout::hashes_of(plan.parameters, plan.songs)
                                : layout::hashes_of(plan.parameters, plan.speakers, plan.clips);
  if (has_songs) {
    write_songs(file, plan.songs);
    write_splits(file, plan.songs, hashes.split);
  } else {
    file.write_text("/speakers", plan.speakers);
    write_clips(file, plan.clips);
    write_splits(file, plan.clips, hashes.split);
  }
  write_recordings(file, plan.recordings);
  layout::add_ledger_page(file, 0);
  file.set_attribute("/", "schema_version", layout::kSchemaVersion);
  file.set_attribute("/", "kind", std::string(name_of(has_songs ? DatasetKind::multitrack : DatasetKind::voice)));
  file.set_attribute("/", "tool_version", plan.tool_version);
  file.set_attribute("/", "sample_rate_hz", plan.sample_rate_hz);
  file.set_attribute("/", "parameters", plan.parameters);
  file.set_attribute("/", "content_hash", hashes.content);
  file.set_attribute("/", "split_hash", hashes.split);
}

}  // namespace

void write_dataset(const fs::path& path, DatasetPlan plan, const std::function<void(DatasetWriter&)>& fill) {
  if (!plan.songs.empty() && !(plan.clips.empty() && plan.speakers.empty())) {
    fail(ErrorKind::internal, "a dataset holds clips or songs, not both");
  }
  const std::vector<std::int64_t> shape{plan.songs.empty() ? number_clips(plan.clips) : number_songs(plan.songs)};
  write_file_atomically(path, [&](const fs::path& temporary) {
    auto file = Hdf5File::create(temporary);
    if (plan.storage == WaveStorage::int16) {
      file.reserve<std::int16_t>("/wave", shape);
    } else {
      file.reserve<float>("/wave", shape);
    }
    DatasetWriter::State state{
        .file = file, .clips = plan.clips, .tracks = tracks_of(plan.songs), .storage = plan.storage};
    state.n_written.assign(state.n_items(), 0);
    DatasetWriter writer(state);
    fill(writer);
    state.finish_features();
    check_complete(plan, state.tracks, state.n_written);
    write_tables(file, plan);
    file.flush();
  });
}

void extend_dataset(const fs::path& path, const std::function<void(DatasetWriter&)>& fill) {
  const layout::WriterLock lock(path);
  const auto dataset = Dataset::open_any(path);
  auto clips = dataset.clips();
  auto songs = dataset.songs();
  layout::replace_with_changes(path, [&](Hdf5File& file) {
    DatasetWriter::State state{.file = file, .clips = clips, .tracks = tracks_of(songs)};
    DatasetWriter writer(state);
    fill(writer);
    state.finish_features();
  });
}

void add_features(const fs::path& path, std::int64_t width, const std::function<FeatureMatrix(const Clip&)>& compute,
                  const FeatureKey& key, std::int64_t frames_a_row) {
  const layout::WriterLock lock(path);
  const auto dataset = Dataset::open(path);
  if (dataset.has_features(key)) return;
  auto clips = dataset.clips();
  FeaturePlan plan{key, width, {}, frames_a_row};
  for (const auto& clip : clips) plan.frames.push_back(n_feature_frames(clip.length, dataset.sample_rate_hz()));
  layout::replace_with_changes(path, [&](Hdf5File& file) {
    DatasetWriter::State state{.file = file, .clips = clips};
    DatasetWriter writer(state);
    writer.begin_features(plan);
    for (const auto& clip : clips) writer.write_features(key, clip.index, compute(clip).values);
    state.finish_features();
  });
}

}  // namespace melisma
