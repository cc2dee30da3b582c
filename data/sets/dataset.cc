#include "data/sets/dataset.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>

#include "data/sets/dataset_layout.h"
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

// Where the rows of each clip are in a feature set.
struct FeatureIndex {
  std::vector<std::int64_t> offsets, rows;
  std::int64_t width = 0, frames_a_row = 1;
};

struct Columns {
  const Hdf5File& file;
  std::string group;
  [[nodiscard]] std::vector<std::int64_t> integers(const std::string& name) const {
    return file.read<std::int64_t>(group + name);
  }
  [[nodiscard]] std::vector<double> reals(const std::string& name) const { return file.read<double>(group + name); }
  [[nodiscard]] std::vector<std::string> texts(const std::string& name) const { return file.read_text(group + name); }
};

std::vector<Clip> read_clips(const Hdf5File& file) {
  const Columns columns{file, "/clips/"};
  const auto recording = columns.texts("recording"), hash = columns.texts("hash"), split = columns.texts("split");
  const auto recording_offset = columns.integers("recording_offset"), speaker = columns.integers("speaker");
  const auto offset = columns.integers("offset"), length = columns.integers("length");
  for (const auto size :
       {hash.size(), split.size(), recording_offset.size(), speaker.size(), offset.size(), length.size()}) {
    if (size == recording.size()) continue;
    fail(ErrorKind::data, "the columns of '/clips' in '{}' have different lengths ({} and {}); prepare it again",
         file.path().string(), recording.size(), size);
  }
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
  const Columns columns{file, "/recordings/"};
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

// The text in a field of fixed width.
std::string trimmed(std::string_view field) { return std::string(field.substr(0, field.find('\0'))); }

// One page of the ledger, read and written past the HDF5 library, which may hold older bytes in memory.
class LedgerPage {
 public:
  LedgerPage(const Hdf5File& file, int descriptor, const std::string& group)
      : descriptor_(descriptor),
        time_at_(file.position_of(group + "/time_utc")),
        command_at_(file.position_of(group + "/command")),
        model_at_(file.position_of(group + "/model_hash")) {
    if (time_at_ < 0 || command_at_ < 0 || model_at_ < 0) {
      fail(ErrorKind::data, "the ledger of '{}' is not stored in place; was the file rewritten by another program?",
           file.path().string());
    }
  }
  [[nodiscard]] LedgerEntry row(std::int64_t i) const {
    return {read(time_at_, i, layout::kTimeWidth), read(command_at_, i, layout::kCommandWidth),
            read(model_at_, i, layout::kModelWidth)};
  }
  // The time is written last: a row without it does not count.
  void set(std::int64_t i, const LedgerEntry& entry) const {
    write(command_at_, i, layout::kCommandWidth, entry.command);
    write(model_at_, i, layout::kModelWidth, entry.model_hash);
    write(time_at_, i, layout::kTimeWidth, entry.time_utc);
    ::fdatasync(descriptor_);
  }

 private:
  [[nodiscard]] std::string read(std::int64_t at, std::int64_t row, std::int64_t width) const {
    std::string field(static_cast<std::size_t>(width), '\0');
    if (::pread(descriptor_, field.data(), field.size(), at + row * width) != width) return "";
    return trimmed(field);
  }
  void write(std::int64_t at, std::int64_t row, std::int64_t width, const std::string& text) const {
    std::string field = text;
    field.resize(static_cast<std::size_t>(width), '\0');
    if (::pwrite(descriptor_, field.data(), field.size(), at + row * width) != width) {
      fail(ErrorKind::device, "cannot write to the ledger: {}", std::strerror(errno));
    }
  }
  int descriptor_;
  std::int64_t time_at_, command_at_, model_at_;
};

}  // namespace

std::string_view name_of(Split split) { return kSplits[static_cast<std::size_t>(split)].name; }

Split split_named(std::string_view name) { return find_row(kSplits, name, "split", ErrorKind::usage).split; }

std::string FeatureKey::parameter_hash() const { return melisma::content_hash(kind + "\n" + parameters).substr(0, 16); }

struct Dataset::State {
  Hdf5File file;
  std::int64_t sample_rate_hz = 0;
  std::string parameters, tool_version, content_hash, split_hash;
  std::vector<std::string> speakers;
  std::vector<Clip> clips;
  std::vector<RecordingRow> recordings;
  std::vector<FeatureKey> feature_sets;
  std::map<std::string, FeatureIndex> features;  // by group
  double scale = 1;                              // of a stored sample

  // Throws Error(data) that lists what there is if `key` is not among it.
  [[nodiscard]] const FeatureIndex& index_of(const FeatureKey& key) const;
};

Dataset::Dataset(std::unique_ptr<State> state) : state_(std::move(state)) {}
Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;
Dataset::~Dataset() = default;

namespace {

// The names and places of all feature sets in the file.
void read_feature_sets(const Hdf5File& file, std::size_t n_clips, std::vector<FeatureKey>& keys,
                       std::map<std::string, FeatureIndex>& features) {
  if (!file.has("/features")) return;
  for (const auto& kind : file.children("/features")) {
    for (const auto& hash : file.children("/features/" + kind)) {
      const auto group = "/features/" + kind + "/" + hash;
      const auto shape = file.describe(group + "/values").shape;
      FeatureIndex index{file.read<std::int64_t>(group + "/offsets"), file.read<std::int64_t>(group + "/frames"),
                         shape.size() == 2 ? shape[1] : 0};
      if (shape.size() != 2 || index.offsets.size() != n_clips || index.rows.size() != n_clips) {
        fail(ErrorKind::data, "the features '{}' in '{}' are not of its {} clips; prepare it again", group,
             file.path().string(), n_clips);
      }
      if (file.has_attribute(group, layout::kFramesARow)) {
        index.frames_a_row = file.attribute_integer(group, layout::kFramesARow);
        if (index.frames_a_row < 1) {
          fail(ErrorKind::data, "the features '{}' in '{}' have {} = {}; expected 1 or more", group,
               file.path().string(), layout::kFramesARow, index.frames_a_row);
        }
      }
      keys.push_back({kind, file.attribute_text(group, "parameters")});
      features.emplace(group, std::move(index));
    }
  }
}

}  // namespace

Dataset Dataset::open(const fs::path& path) {
  auto file = Hdf5File::open(path);
  if (!file.has("/clips") || !file.has("/wave") || !file.has_attribute("/", "schema_version")) {
    fail(ErrorKind::data,
         "'{}' is no dataset of this program: it lacks /clips, /wave or schema_version; make one with "
         "'melisma prepare'",
         path.string());
  }
  if (const auto version = file.attribute_integer("/", "schema_version"); version != layout::kSchemaVersion) {
    fail(ErrorKind::data, "dataset '{}' has schema version {}, this program reads {}; prepare it again", path.string(),
         version, layout::kSchemaVersion);
  }
  auto state = std::make_unique<State>(State{std::move(file), 0, {}, {}, {}, {}, {}, {}, {}, {}, {}, 1});
  const auto& h5 = state->file;
  state->sample_rate_hz = h5.attribute_integer("/", "sample_rate_hz");
  state->parameters = h5.attribute_text("/", "parameters");
  state->tool_version = h5.attribute_text("/", "tool_version");
  state->content_hash = h5.attribute_text("/", "content_hash");
  state->split_hash = h5.attribute_text("/", "split_hash");
  state->speakers = h5.read_text("/speakers");
  state->clips = read_clips(h5);
  check_clips(h5, state->clips, state->speakers.size());
  state->recordings = read_recordings(h5);
  state->scale = h5.describe("/wave").kind == Hdf5Kind::integer ? 1.0 / 32768 : 1.0;
  read_feature_sets(h5, state->clips.size(), state->feature_sets, state->features);
  return Dataset(std::move(state));
}

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
  auto samples = state_->file.read_rows<float>("/wave", clip.offset + first, count);
  if (state_->scale != 1) {
    for (auto& sample : samples) sample *= static_cast<float>(state_->scale);
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

FeatureMatrix Dataset::feature_rows(const FeatureKey& key, const Clip& clip) const {
  const auto& index = state_->index_of(key);
  const auto i = static_cast<std::size_t>(clip.index);
  const auto n_rows = index.rows.at(i);
  return {state_->file.read_rows<float>(layout::features_of(key) + "/values", index.offsets.at(i), n_rows), n_rows,
          index.width};
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

namespace {

// Writes into the first free row; false if every page is full.
bool append_in_place(const fs::path& path, const std::string& content_hash, const LedgerEntry& entry) {
  const layout::WriterLock lock(path);
  const auto current = Hdf5File::open(path);
  if (current.attribute_text("/", "content_hash") != content_hash) {
    fail(ErrorKind::data, "dataset '{}' was replaced by another while it was open; run the command again",
         path.string());
  }
  for (const auto& page : current.children("/ledger")) {
    const LedgerPage rows(current, lock.descriptor(), "/ledger/" + page);
    for (std::int64_t i = 0; i < layout::kLedgerRows; ++i) {
      if (!rows.row(i).time_utc.empty()) continue;
      rows.set(i, entry);
      return true;
    }
  }
  return false;
}

}  // namespace

std::vector<LedgerEntry> Dataset::ledger() const {
  const int descriptor = ::open(path().c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(ErrorKind::data, "cannot read '{}': {}", path().string(), std::strerror(errno));
  const auto closing = std::unique_ptr<const int, void (*)(const int*)>(&descriptor, [](const int* d) { ::close(*d); });
  const auto current = Hdf5File::open(path());
  std::vector<LedgerEntry> entries;
  for (const auto& page : current.children("/ledger")) {
    const LedgerPage rows(current, descriptor, "/ledger/" + page);
    for (std::int64_t i = 0; i < layout::kLedgerRows; ++i) {
      auto entry = rows.row(i);
      if (!entry.time_utc.empty()) entries.push_back(std::move(entry));
    }
  }
  return entries;
}

void Dataset::record_test_opening(const LedgerEntry& entry) {
  while (!append_in_place(path(), content_hash(), entry)) {
    const layout::WriterLock lock(path());
    layout::replace_with_changes(path(), [](Hdf5File& file) {
      layout::add_ledger_page(file, static_cast<std::int64_t>(file.children("/ledger").size()));
    });
  }
}

}  // namespace melisma
