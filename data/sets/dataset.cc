#include "data/sets/dataset.h"

#include <algorithm>
#include <array>

#include "data/sets/dataset_layout.h"
#include "data/sets/dataset_state.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"
#include "tools/base/table.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

struct SplitName {
  std::string_view name;
  Split split;
};
constexpr std::array kSplits{SplitName{"train", Split::train}, SplitName{"validation", Split::validation},
                             SplitName{"test", Split::test}};

struct KindName {
  std::string_view name, holds;
  DatasetKind kind;
};
constexpr std::array kKinds{
    KindName{"voice", "recordings of voices (melisma prepare FOLDER)", DatasetKind::voice},
    KindName{"multitrack", "songs in tracks (melisma prepare FOLDER --kind multitrack)", DatasetKind::multitrack}};

const KindName& row_of(DatasetKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

// What the file says it is; files older than the attribute hold voices.
DatasetKind kind_in(const Hdf5File& file) {
  if (!file.has_attribute("/", "kind")) return DatasetKind::voice;
  const auto name = file.attribute_text("/", "kind");
  const auto* row =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const KindName& known) { return known.name == name; });
  if (row != kKinds.end()) return row->kind;
  fail(ErrorKind::data, "dataset '{}' is of the kind '{}', which this program does not know; prepare it again",
       file.path().string(), name);
}

std::vector<Clip> read_clips(const Hdf5File& file) {
  const DatasetColumns columns{file, "/clips/"};
  const auto recording = columns.texts("recording"), hash = columns.texts("hash"), split = columns.texts("split");
  const auto recording_offset = columns.integers("recording_offset"), speaker = columns.integers("speaker");
  const auto offset = columns.integers("offset"), length = columns.integers("length");
  columns.check(recording.size(),
                {hash.size(), split.size(), recording_offset.size(), speaker.size(), offset.size(), length.size()});
  std::vector<Clip> clips;
  for (std::size_t i = 0; i < recording.size(); ++i) {
    clips.push_back({static_cast<std::int64_t>(i), recording[i], recording_offset[i], speaker[i], offset[i], length[i],
                     hash[i], split_named(split[i])});
  }
  return clips;
}

// A clip points inside the samples and at a speaker that exists, or the file is refused as a whole.
void check_clips(const Hdf5File& file, const std::vector<Clip>& clips, std::size_t n_speakers) {
  const auto n_samples = file.describe("/wave").count();
  for (const auto& clip : clips) {
    const bool fits = clip.offset >= 0 && clip.length > 0 && clip.offset <= n_samples - clip.length;
    const bool speaks = clip.speaker >= 0 && clip.speaker < static_cast<std::int64_t>(n_speakers);
    if (fits && speaks) continue;
    fail(ErrorKind::data,
         "clip {} of '{}' is samples {} to {} of speaker {}, but the file has {} samples and {} speakers", clip.index,
         file.path().string(), clip.offset, clip.offset + clip.length, clip.speaker, n_samples, n_speakers);
  }
}

std::vector<RecordingRow> read_recordings(const Hdf5File& file) {
  if (!file.has("/recordings")) return {};
  const DatasetColumns columns{file, "/recordings/"};
  const auto path = columns.texts("path"), speaker = columns.texts("speaker"), fate = columns.texts("fate");
  const auto detail = columns.texts("detail"), split = columns.texts("split");
  const auto seconds = columns.reals("seconds"), kept = columns.reals("kept_seconds");
  const auto n_clips = columns.integers("n_clips"), group = columns.integers("duplicate_group");
  std::vector<RecordingRow> rows;
  for (std::size_t i = 0; i < path.size(); ++i) {
    rows.push_back({path[i], speaker.at(i), fate.at(i), detail.at(i), seconds.at(i), kept.at(i), n_clips.at(i),
                    group.at(i), split.at(i)});
  }
  return rows;
}

}  // namespace

std::string_view name_of(DatasetKind kind) { return kKinds[static_cast<std::size_t>(kind)].name; }

std::string_view name_of(Split split) { return kSplits[static_cast<std::size_t>(split)].name; }

Split split_named(std::string_view name) { return find_row(kSplits, name, "split", ErrorKind::usage).split; }

std::string FeatureKey::parameter_hash() const { return melisma::content_hash(kind + "\n" + parameters).substr(0, 16); }

Dataset::Dataset(std::unique_ptr<State> state) : state_(std::move(state)) {}
Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;
Dataset::~Dataset() = default;

namespace {

// The names and places of all feature sets in the file.
void read_feature_sets(const Hdf5File& file, std::size_t n_items, std::vector<FeatureKey>& keys,
                       std::map<std::string, FeatureIndex>& features) {
  if (!file.has("/features")) return;
  for (const auto& kind : file.children("/features")) {
    for (const auto& hash : file.children("/features/" + kind)) {
      const auto group = "/features/" + kind + "/" + hash;
      const auto shape = file.describe(group + "/values").shape;
      FeatureIndex index{file.read<std::int64_t>(group + "/offsets"), file.read<std::int64_t>(group + "/frames"),
                         shape.size() == 2 ? shape[1] : 0};
      if (shape.size() != 2 || index.offsets.size() != n_items || index.rows.size() != n_items) {
        fail(ErrorKind::data, "the features '{}' in '{}' are not of its {} clips or tracks; prepare it again", group,
             file.path().string(), n_items);
      }
      if (file.has_attribute(group, layout::kFramesARow)) {
        index.frames_a_row = file.attribute_integer(group, layout::kFramesARow);
        if (index.frames_a_row < 1) {
          fail(ErrorKind::data, "the features '{}' in '{}' have {} = {}; expected 1 or more", group,
               file.path().string(), layout::kFramesARow, index.frames_a_row);
        }
      }
      if (file.has_attribute(group, layout::kLargestError)) {
        index.lowest = file.read<double>(group + "/" + layout::kLowest);
        index.step = file.read<double>(group + "/" + layout::kStep);
        if (index.lowest.size() != n_items || index.step.size() != n_items) {
          fail(ErrorKind::data, "the features '{}' in '{}' have scales for {} of {} clips or tracks; prepare it again",
               group, file.path().string(), std::min(index.lowest.size(), index.step.size()), n_items);
        }
      }
      keys.push_back({kind, file.attribute_text(group, "parameters")});
      features.emplace(group, std::move(index));
    }
  }
}

}  // namespace

Dataset Dataset::open(const fs::path& path, DatasetKind wanted) {
  auto dataset = open_any(path);
  if (dataset.kind() != wanted) {
    fail(ErrorKind::data, "'{}' is a {} dataset, but this needs a {} dataset: {}", path.string(),
         name_of(dataset.kind()), name_of(wanted), row_of(wanted).holds);
  }
  return dataset;
}

Dataset Dataset::open_any(const fs::path& path) {
  auto file = Hdf5File::open(path);
  if (!(file.has("/clips") || file.has("/tracks")) || !file.has("/wave") ||
      !file.has_attribute("/", "schema_version")) {
    fail(ErrorKind::data,
         "'{}' is no dataset of this program: it lacks /clips (or /tracks), /wave or schema_version; make one with "
         "'melisma prepare'",
         path.string());
  }
  if (const auto version = file.attribute_integer("/", "schema_version"); version != layout::kSchemaVersion) {
    fail(ErrorKind::data, "dataset '{}' has schema version {}, this program reads {}; prepare it again", path.string(),
         version, layout::kSchemaVersion);
  }
  auto state = std::make_unique<State>(State{.file = std::move(file)});
  const auto& h5 = state->file;
  state->kind = kind_in(h5);
  state->sample_rate_hz = h5.attribute_integer("/", "sample_rate_hz");
  state->parameters = h5.attribute_text("/", "parameters");
  state->tool_version = h5.attribute_text("/", "tool_version");
  state->content_hash = h5.attribute_text("/", "content_hash");
  state->split_hash = h5.attribute_text("/", "split_hash");
  if (state->kind == DatasetKind::voice) {
    state->speakers = h5.read_text("/speakers");
    state->clips = read_clips(h5);
    check_clips(h5, state->clips, state->speakers.size());
  } else {
    state->read_songs();
  }
  state->recordings = read_recordings(h5);
  state->scale = h5.describe("/wave").kind == Hdf5Kind::integer ? 1.0 / 32768 : 1.0;
  const auto n_items =
      state->kind == DatasetKind::voice ? state->clips.size() : static_cast<std::size_t>(state->n_tracks);
  read_feature_sets(h5, n_items, state->feature_sets, state->features);
  return Dataset(std::move(state));
}

DatasetKind Dataset::kind() const { return state_->kind; }
const fs::path& Dataset::path() const { return state_->file.path(); }
std::int64_t Dataset::sample_rate_hz() const { return state_->sample_rate_hz; }
const std::vector<std::string>& Dataset::speakers() const { return state_->speakers; }
const std::vector<Clip>& Dataset::clips() const { return state_->clips; }
const std::string& Dataset::content_hash() const { return state_->content_hash; }
const std::string& Dataset::split_hash() const { return state_->split_hash; }
const std::string& Dataset::parameters() const { return state_->parameters; }
const std::string& Dataset::tool_version() const { return state_->tool_version; }
const std::vector<RecordingRow>& Dataset::recordings() const { return state_->recordings; }
std::vector<FeatureKey> Dataset::feature_sets() const { return state_->feature_sets; }

std::vector<Clip> Dataset::clips_of(Split split) const {
  std::vector<Clip> found;
  std::copy_if(state_->clips.begin(), state_->clips.end(), std::back_inserter(found),
               [split](const Clip& clip) { return clip.split == split; });
  return found;
}

std::vector<float> Dataset::wave(const Clip& clip) const { return wave(clip, 0, clip.length); }

std::vector<float> Dataset::wave(const Clip& clip, std::int64_t first, std::int64_t count) const {
  if (first < 0 || count < 0 || first > clip.length - count) {
    fail(ErrorKind::data, "samples {} to {} of clip {} in '{}' were asked for, but it has {}", first, first + count,
         clip.index, path().string(), clip.length);
  }
  return state_->samples(clip.offset + first, count);
}

std::vector<float> Dataset::State::samples(std::int64_t first, std::int64_t count) const {
  auto samples = file.read_rows<float>("/wave", first, count);
  if (scale != 1) {
    for (auto& sample : samples) sample *= static_cast<float>(scale);
  }
  return samples;
}

bool Dataset::has_features(const FeatureKey& key) const { return state_->features.contains(layout::features_of(key)); }

const FeatureIndex& Dataset::State::index_of(const FeatureKey& key) const {
  const auto found = features.find(layout::features_of(key));
  if (found != features.end()) return found->second;
  std::string stored;
  for (const auto& set : feature_sets) stored += fmt::format("\n  {} {}", set.kind, set.parameters);
  fail(ErrorKind::data, "dataset '{}' has no {} features with parameters {}; it has:{}\nprepare it with them",
       file.path().string(), key.kind, key.parameters, stored.empty() ? " none" : stored);
}

std::int64_t Dataset::feature_width(const FeatureKey& key) const { return state_->index_of(key).width; }

void DatasetColumns::check(std::size_t n, std::initializer_list<std::size_t> sizes) const {
  for (const auto size : sizes) {
    if (size == n) continue;
    fail(ErrorKind::data, "the columns of '{}' in '{}' have different lengths ({} and {}); prepare it again",
         group.substr(0, group.size() - 1), file.path().string(), n, size);
  }
}

FeatureMatrix Dataset::State::rows_of(const FeatureKey& key, std::int64_t item) const {
  const auto& index = index_of(key);
  const auto i = static_cast<std::size_t>(item);
  const auto n_rows = index.rows.at(i);
  if (!index.lowest.empty()) {
    FeatureMatrix made{{}, n_rows, index.width};
    for (const auto code :
         file.read_rows<std::uint8_t>(layout::features_of(key) + "/values", index.offsets.at(i), n_rows)) {
      made.values.push_back(static_cast<float>(index.lowest[i] + index.step[i] * code));
    }
    return made;
  }
  return {file.read_rows<float>(layout::features_of(key) + "/values", index.offsets.at(i), n_rows), n_rows,
          index.width};
}

FeatureMatrix Dataset::feature_rows(const FeatureKey& key, const Clip& clip) const {
  return state_->rows_of(key, clip.index);
}

FeatureMatrix Dataset::features(const FeatureKey& key, const Clip& clip) const {
  auto rows = feature_rows(key, clip);
  const auto frames_a_row = state_->index_of(key).frames_a_row;
  if (frames_a_row == 1) return rows;
  return repeat_rows(rows, frames_a_row, n_feature_frames(clip.length, sample_rate_hz()));
}

FeatureMatrix repeat_rows(const FeatureMatrix& rows, std::int64_t frames_a_row, std::int64_t n_frames) {
  if (rows.n_frames == 0) n_frames = 0;
  FeatureMatrix frames{.values = {}, .n_frames = n_frames, .width = rows.width};
  frames.values.reserve(static_cast<std::size_t>(n_frames * rows.width));
  for (std::int64_t frame = 0; frame < n_frames; ++frame) {
    const auto row = rows.values.begin() + std::min(frame / frames_a_row, rows.n_frames - 1) * rows.width;
    frames.values.insert(frames.values.end(), row, row + rows.width);
  }
  return frames;
}

}  // namespace melisma
