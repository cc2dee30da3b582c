#include "data/sets/dataset_writer.h"

#include <algorithm>
#include <array>
#include <cmath>
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

void write_splits(Hdf5File& file, const std::vector<Clip>& clips, const std::string& hash) {
  for (const auto split : {Split::train, Split::validation, Split::test}) {
    std::vector<std::int64_t> rows;
    for (const auto& clip : clips) {
      if (clip.split == split) rows.push_back(clip.index);
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

struct DatasetWriter::State {
  Hdf5File& file;
  std::vector<Clip>& clips;
  std::optional<WaveStorage> storage;  // nothing while features are added to a finished dataset
  std::vector<bool> has_wave;
  struct Features {
    std::int64_t width = 0;
    std::vector<std::int64_t> rows, offsets;
  };
  std::map<std::string, Features> features;  // by group
};

void DatasetWriter::write_wave(std::int64_t clip, std::span<const float> samples) {
  auto& row = state_->clips.at(static_cast<std::size_t>(clip));
  if (static_cast<std::int64_t>(samples.size()) != row.length) {
    fail(ErrorKind::internal, "clip {} has {} samples, but {} were written", clip, row.length, samples.size());
  }
  if (state_->storage == WaveStorage::int16) {
    std::vector<std::int16_t> stored(samples.size());
    std::transform(samples.begin(), samples.end(), stored.begin(), to_int16);
    row.hash = content_hash(std::as_bytes(std::span(stored)));
    state_->file.write_rows<std::int16_t>("/wave", row.offset, stored);
  } else {
    row.hash = content_hash(std::as_bytes(samples));
    state_->file.write_rows<float>("/wave", row.offset, samples);
  }
  state_->has_wave[static_cast<std::size_t>(clip)] = true;
}

void DatasetWriter::begin_features(const FeaturePlan& plan) {
  if (plan.frames.size() != state_->clips.size()) {
    fail(ErrorKind::internal, "features for {} clips were planned, the dataset has {}", plan.frames.size(),
         state_->clips.size());
  }
  State::Features made{plan.width, {}, {}};
  std::int64_t total = 0;
  for (const auto frames : plan.frames) {
    made.offsets.push_back(total);
    made.rows.push_back(n_feature_rows(frames, plan.frames_a_row));
    total += made.rows.back();
  }
  const auto group = layout::features_of(plan.key);
  state_->file.reserve<float>(group + "/values", std::vector<std::int64_t>{total, plan.width});
  state_->file.write<std::int64_t>(group + "/offsets", made.offsets);
  state_->file.write<std::int64_t>(group + "/frames", made.rows);
  state_->file.set_attribute(group, "parameters", plan.key.parameters);
  if (plan.frames_a_row != 1) state_->file.set_attribute(group, layout::kFramesARow, plan.frames_a_row);
  state_->features.emplace(group, std::move(made));
}

void DatasetWriter::write_features(const FeatureKey& key, std::int64_t clip, std::span<const float> values) {
  const auto group = layout::features_of(key);
  const auto& plan = state_->features.at(group);
  const auto i = static_cast<std::size_t>(clip);
  const auto wanted = plan.rows.at(i) * plan.width;
  if (static_cast<std::int64_t>(values.size()) != wanted) {
    fail(ErrorKind::internal, "{} features of clip {} have {} values, expected {} rows x {}", key.kind, clip,
         values.size(), plan.rows[i], plan.width);
  }
  state_->file.write_rows<float>(group + "/values", plan.offsets[i], values);
}

void write_dataset(const fs::path& path, DatasetPlan plan, const std::function<void(DatasetWriter&)>& fill) {
  std::int64_t total = 0;
  for (std::size_t i = 0; i < plan.clips.size(); ++i) {
    plan.clips[i].index = static_cast<std::int64_t>(i);
    plan.clips[i].offset = total;
    total += plan.clips[i].length;
  }
  write_file_atomically(path, [&](const fs::path& temporary) {
    auto file = Hdf5File::create(temporary);
    const std::vector<std::int64_t> shape{total};
    if (plan.storage == WaveStorage::int16) {
      file.reserve<std::int16_t>("/wave", shape);
    } else {
      file.reserve<float>("/wave", shape);
    }
    DatasetWriter::State state{file, plan.clips, plan.storage, std::vector<bool>(plan.clips.size(), false), {}};
    DatasetWriter writer(state);
    fill(writer);
    const auto missing = std::find(state.has_wave.begin(), state.has_wave.end(), false);
    if (missing != state.has_wave.end()) {
      fail(ErrorKind::internal, "clip {} has no samples", missing - state.has_wave.begin());
    }
    const auto hashes = layout::hashes_of(plan.parameters, plan.speakers, plan.clips);
    file.write_text("/speakers", plan.speakers);
    write_clips(file, plan.clips);
    write_recordings(file, plan.recordings);
    write_splits(file, plan.clips, hashes.split);
    layout::add_ledger_page(file, 0);
    file.set_attribute("/", "schema_version", layout::kSchemaVersion);
    file.set_attribute("/", "tool_version", plan.tool_version);
    file.set_attribute("/", "sample_rate_hz", plan.sample_rate_hz);
    file.set_attribute("/", "parameters", plan.parameters);
    file.set_attribute("/", "content_hash", hashes.content);
    file.set_attribute("/", "split_hash", hashes.split);
    file.flush();
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
    DatasetWriter::State state{file, clips, std::nullopt, {}, {}};
    DatasetWriter writer(state);
    writer.begin_features(plan);
    for (const auto& clip : clips) writer.write_features(key, clip.index, compute(clip).values);
  });
}

}  // namespace melisma
