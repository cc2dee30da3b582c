#include "train/prepare/assemble.h"

#include <map>
#include <memory>
#include <set>

#include "data/sets/dataset_layout.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"
#include "tools/config/config.h"
#include "train/prepare/cut_recording.h"
#include "train/prepare/target.h"

namespace melisma {
namespace fs = std::filesystem;
namespace {

// What the dataset is made by: settings of the samples and of the split. Features are keyed on their own.
std::string dataset_parameters(const PrepareConfig& config, bool is_split_by_list) {
  auto parameters = nlohmann::ordered_json::parse(cutting_parameters(config));
  if (is_split_by_list) {
    parameters["split"] = "list";
    return parameters.dump();
  }
  parameters["validation_share"] = config.validation_share;
  parameters["test_share"] = config.test_share;
  parameters["seed"] = config.seed;
  return parameters.dump();
}

// The final features of every clip, one after the other; memory holds one block.
class FeatureCursor {
 public:
  FeatureCursor(const Assembly& assembly, const FeatureMaker& maker) : assembly_(assembly), maker_(maker) {}

  // Of the next clip in the order of assembly.clips.
  FeatureMatrix next() {
    while (at_ == block_.size()) read_next_block();
    const auto& raw = block_[at_++];
    const auto& normaliser = normalisers_[assembly_.recordings[recording_].speaker];
    return normaliser ? normaliser->normalise(raw) : raw;
  }

 private:
  void read_next_block() {
    while (next_block_ * kClipsPerBlock >= assembly_.recordings[recording_].part.clips.size()) {
      ++recording_;
      next_block_ = 0;
    }
    const auto& recording = assembly_.recordings[recording_];
    auto& normaliser = normalisers_[recording.speaker];
    if (maker_.normaliser && !normaliser) normaliser = normaliser_of(assembly_.recordings, recording.speaker, maker_);
    block_ = read_feature_block(recording, maker_.key, next_block_++);
    at_ = 0;
  }

  const Assembly& assembly_;
  const FeatureMaker& maker_;
  std::map<std::int64_t, std::unique_ptr<SpeakerNormaliser>> normalisers_;
  std::size_t recording_ = 0, next_block_ = 0, at_ = 0;
  std::vector<FeatureMatrix> block_;
};

void stop_if_asked() {
  if (const int signal = stop_requested(); signal != 0) {
    throw Error::interrupted(signal, "stopped while the dataset was written; the same command continues from here");
  }
}

void write_everything(const Assembly& assembly, const PrepareRequest& request, std::span<const FeatureMaker> makers,
                      EventSink& events) {
  const auto storage = wave_storage_named(request.config.storage);
  const auto rate = request.config.sample_rate_hz;
  const DatasetPlan plan{rate,           assembly.parameters, request.tool_version, storage, assembly.speakers,
                         assembly.clips, assembly.rows};
  const auto total = static_cast<double>(assembly.clips.size() * (1 + makers.size()));
  double done = 0;
  const auto tell = [&] {
    stop_if_asked();
    events.receive(ProgressEvent{"writing the dataset", ++done, total, "clips", {}});
  };
  write_dataset(request.dataset, plan, [&](DatasetWriter& writer) {
    std::int64_t clip = 0;
    for (const auto& recording : assembly.recordings) {
      const PartReader reader(recording.part_path, recording.part, storage);
      for (std::size_t i = 0; i < recording.part.clips.size(); ++i) {
        writer.write_wave(clip++, reader.samples(i));
        tell();
      }
    }
    for (const auto& maker : makers) {
      FeaturePlan features{maker.key, maker.width, {}, maker.frames_a_row};
      for (const auto& row : assembly.clips) features.frames.push_back(n_feature_frames(row.length, rate));
      writer.begin_features(features);
      FeatureCursor cursor(assembly, maker);
      for (const auto& row : assembly.clips) {
        writer.write_features(maker.key, row.index, cursor.next().values);
        tell();
      }
    }
  });
}

// The feature sets that a dataset of the same content lacks; how many there were.
std::size_t add_missing_features(const Assembly& assembly, const fs::path& path, std::span<const FeatureMaker> makers) {
  std::size_t n_added = 0;
  for (const auto& maker : makers) {
    if (Dataset::open(path).has_features(maker.key)) continue;
    ++n_added;
    FeatureCursor cursor(assembly, maker);
    add_features(
        path, maker.width, [&](const Clip&) { return cursor.next(); }, maker.key, maker.frames_a_row);
  }
  return n_added;
}

}  // namespace

Assembly assemble(const std::vector<SourceFile>& sources, std::vector<Part>& parts,
                  const std::vector<fs::path>& part_paths, const std::vector<std::int64_t>& groups,
                  const PrepareConfig& config, bool is_split_by_list) {
  Assembly assembly;
  assembly.sources = sources;
  assembly.parameters = dataset_parameters(config, is_split_by_list);
  std::set<std::string> speakers;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (parts[i].is_kept) speakers.insert(sources[i].speaker);
  }
  assembly.speakers.assign(speakers.begin(), speakers.end());
  for (std::size_t i = 0; i < sources.size(); ++i) {
    auto& part = parts[i];
    RecordingRow row{sources[i].name, sources[i].speaker, part.fate, part.detail, part.seconds, 0, 0, -1, ""};
    if (part.is_kept) {
      row.kept_seconds = part.kept_seconds(config.sample_rate_hz);
      row.n_clips = std::ssize(part.clips);
      row.duplicate_group = groups[i];
      for (const auto& [reason, dropped] : part.dropped) {
        assembly.dropped[reason].n_slices += dropped.n_slices;
        assembly.dropped[reason].seconds += dropped.seconds;
      }
      const auto speaker = std::distance(speakers.begin(), speakers.find(sources[i].speaker));
      part.fingerprint = {};
      assembly.recordings.push_back({part_paths[i], std::move(part), speaker, Split::train});
      assembly.source_of.push_back(i);
    }
    assembly.rows.push_back(std::move(row));
  }
  return assembly;
}

void place(Assembly& assembly, const std::vector<Split>& sides) {
  for (std::size_t k = 0; k < assembly.recordings.size(); ++k) {
    auto& recording = assembly.recordings[k];
    const auto source = assembly.source_of[k];
    recording.split = sides[source];
    assembly.rows[source].split = name_of(recording.split);
    for (const auto& clip : recording.part.clips) {
      assembly.clips.push_back({.index = std::ssize(assembly.clips),
                                .recording = assembly.sources[source].name,
                                .recording_offset = clip.recording_offset,
                                .speaker = recording.speaker,
                                .length = clip.length,
                                .hash = clip.hash,
                                .split = recording.split});
    }
  }
  const auto hashes = layout::hashes_of(assembly.parameters, assembly.speakers, assembly.clips);
  assembly.content_hash = hashes.content;
  assembly.split_hash = hashes.split;
}

std::string write(const Assembly& assembly, const PrepareRequest& request, std::span<const FeatureMaker> makers,
                  EventSink& events) {
  if (holds_content(request.dataset, assembly.content_hash).value_or(false)) {
    return add_missing_features(assembly, request.dataset, makers) > 0 ? "features added" : "already complete";
  }
  write_everything(assembly, request, makers, events);
  return "written";
}

PrepareReport report_of(const Assembly& assembly, const PrepareRequest& request, std::string outcome) {
  PrepareReport report;
  report.dataset = request.dataset;
  report.content_hash = assembly.content_hash;
  report.split_hash = assembly.split_hash;
  report.sample_rate_hz = request.config.sample_rate_hz;
  report.recordings = assembly.rows;
  report.dropped = assembly.dropped;
  report.outcome = std::move(outcome);
  for (const auto& name : assembly.speakers) report.speakers.push_back({name, {}, {}, {}});
  for (std::size_t k = 0; k < assembly.recordings.size(); ++k) {
    const auto& recording = assembly.recordings[k];
    auto& speaker = report.speakers[static_cast<std::size_t>(recording.speaker)];
    ++speaker.recordings[recording.split];
    speaker.clips[recording.split] += std::ssize(recording.part.clips);
    speaker.seconds[recording.split] += assembly.rows[assembly.source_of[k]].kept_seconds;
  }
  if (!assembly.clips.empty() && fs::exists(request.dataset)) {
    report.features = Dataset::open(request.dataset).feature_sets();
  }
  return report;
}

}  // namespace melisma
