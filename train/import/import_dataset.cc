#include "train/import/import_dataset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "data/audio/audio_file.h"
#include "data/audio/fate.h"
#include "data/sets/dataset_writer.h"
#include "data/sets/fingerprint.h"
#include "data/sets/npy.h"
#include "data/sets/split.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/hash.h"
#include "tools/base/stop.h"

namespace melisma {
namespace fs = std::filesystem;
namespace import_dataset_detail {
namespace {

constexpr std::int64_t kContentFramesARow = 2;
constexpr double kLeastSeconds = 0.1;
// A slice's features may be this many frames shorter or longer than its sound: the tools count frames of the sound at
// 16 kHz, without padding.
constexpr std::int64_t kMostFramesOff = 8;

// A slice read whole.
struct SliceData {
  std::vector<float> wave;
  FeatureMatrix f0, content;  // rows as the dataset stores them
};

// What became of a slice.
struct Verdict {
  Fate fate = Fate::kept;
  std::string detail, hash;
  std::int64_t n_samples = 0;
  double seconds = 0;
};

// Everything of an import between its steps.
struct Import {
  const ExperimentFolder& experiment;
  const ImportRequest& request;
  std::int64_t sample_rate_hz = 0;
  std::vector<Verdict> verdicts;       // one a slice
  std::map<std::string, Split> sides;  // of each recording with a kept slice
  std::map<std::string, std::int64_t> groups;
  std::vector<std::string> speakers;
  std::vector<std::size_t> kept;  // slices, in the order of the clips
  std::vector<Clip> clips;
};

std::string name_in(const ExperimentFolder& experiment, const fs::path& file) {
  return file.lexically_relative(experiment.folder).generic_string();
}

// Rows of a matrix, cut or its last one held to `n_rows`.
FeatureMatrix fitted(const NpyArray& array, std::int64_t n_rows, std::int64_t width, std::int64_t frames_a_row) {
  const auto n_found = array.shape.empty() ? 0 : array.shape.front();
  const bool has_shape = width == 1 ? array.shape.size() == 1 : array.shape.size() == 2 && array.shape[1] == width;
  if (!has_shape || n_found == 0) {
    fail(ErrorKind::data, "it is [{}]; [{}{}] is expected", fmt::join(array.shape, ","), n_rows,
         width == 1 ? "" : fmt::format(",{}", width));
  }
  if (std::abs(n_found - n_rows) * frames_a_row > kMostFramesOff) {
    fail(ErrorKind::data, "it has {} rows where the slice has {}: it is of another slice", n_found, n_rows);
  }
  FeatureMatrix matrix{array.values<float>(), n_rows, width};
  for (const auto value : matrix.values) {
    if (!std::isfinite(value)) fail(ErrorKind::data, "it holds values that are no numbers");
  }
  const std::vector<float> last(matrix.values.end() - width, matrix.values.end());
  matrix.values.resize(static_cast<std::size_t>(std::min(n_found, n_rows) * width));
  while (std::ssize(matrix.values) < n_rows * width) {
    matrix.values.insert(matrix.values.end(), last.begin(), last.end());
  }
  return matrix;
}

std::vector<float> read_wave(const fs::path& path, std::int64_t sample_rate_hz) {
  auto wave = read_audio_mono(path);
  if (sample_rate_hz > 0 && wave.sample_rate_hz != sample_rate_hz) {
    fail(ErrorKind::data, "it is at {} Hz, the voice at {} Hz", wave.sample_rate_hz, sample_rate_hz);
  }
  return std::move(wave.samples);
}

// Runs read(path); an Error names the file as the report does.
template <class Read>
auto read_part(const ExperimentFolder& experiment, const fs::path& path, const Read& read) {
  const auto name = name_in(experiment, path);
  if (!fs::exists(path)) fail(ErrorKind::data, "{} is missing", name);
  try {
    return read(path);
  } catch (const Error& error) {
    throw Error(ErrorKind::data, fmt::format("{}: {}", name, error.message()));
  }
}

// Throws Error(data) naming the file that cannot be used.
SliceData read_slice(const Import& import, const ExperimentSlice& slice) {
  const auto& experiment = import.experiment;
  SliceData data;
  data.wave =
      read_part(experiment, slice.wave, [&](const fs::path& path) { return read_wave(path, import.sample_rate_hz); });
  const auto n_frames = n_feature_frames(std::ssize(data.wave), import.sample_rate_hz);
  data.f0 =
      read_part(experiment, slice.f0, [&](const fs::path& path) { return fitted(read_npy(path), n_frames, 1, 1); });
  data.content = read_part(experiment, slice.content, [&](const fs::path& path) {
    return fitted(read_npy(path), n_feature_rows(n_frames, kContentFramesARow), import.request.content_width,
                  kContentFramesARow);
  });
  return data;
}

Verdict judged(const Import& import, const ExperimentSlice& slice) {
  Verdict verdict;
  try {
    const auto wave = read_part(import.experiment, slice.wave,
                                [&](const fs::path& path) { return read_wave(path, import.sample_rate_hz); });
    FateAssessor assessor({.min_seconds = kLeastSeconds, .silence_db = -120}, import.sample_rate_hz, 1);
    assessor.add(wave);
    const auto assessment = assessor.finish();
    verdict = {assessment.fate, assessment.reason, content_hash(std::as_bytes(std::span(wave))), std::ssize(wave),
               assessment.seconds};
    if (is_kept(verdict.fate)) (void)read_slice(import, slice);
  } catch (const Error& error) {
    verdict.fate = Fate::unreadable;
    verdict.detail = error.message();
  }
  return verdict;
}

void judge_slices(Import& import, EventSink& events) {
  std::map<std::string, std::string> first_with;  // by hash
  const auto& slices = import.experiment.slices;
  for (const auto& slice : slices) {
    if (stop_requested() != 0) throw Error::interrupted(stop_requested(), "stopped; nothing was imported");
    auto& verdict = import.verdicts.emplace_back(judged(import, slice));
    events.receive(ProgressEvent{"reading slices",
                                 static_cast<double>(import.verdicts.size()),
                                 static_cast<double>(slices.size()),
                                 "slices",
                                 {}});
    if (!is_kept(verdict.fate)) continue;
    const auto [first, is_new] = first_with.emplace(verdict.hash, slice.name);
    if (is_new) continue;
    verdict.fate = Fate::duplicate;
    verdict.detail = "the same samples as " + first->second;
  }
}

// Which recordings hold the same sound; by name of recording.
std::map<std::string, std::int64_t> groups_of(const Import& import) {
  std::map<std::string, Fingerprinter> printers;
  const auto& slices = import.experiment.slices;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    if (!is_kept(import.verdicts[i].fate)) continue;
    auto& printer = printers.try_emplace(slices[i].recording, import.sample_rate_hz).first->second;
    printer.push(read_wave(slices[i].wave, import.sample_rate_hz));
  }
  std::vector<Fingerprint> prints;
  for (auto& [name, printer] : printers) prints.push_back(printer.finish());
  const auto found = duplicate_groups(prints);
  std::map<std::string, std::int64_t> groups;
  std::size_t i = 0;
  for (const auto& [name, printer] : printers) groups[name] = found[i++];
  return groups;
}

// As the folder has them; a recording with slices on two sides was heard.
void split_as_laid_out(Import& import) {
  for (const auto i : import.kept) {
    const auto& slice = import.experiment.slices[i];
    const auto [found, is_new] = import.sides.try_emplace(slice.recording, *slice.side);
    if (!is_new && found->second != *slice.side) found->second = Split::train;
  }
}

void split_by_recording(Import& import) {
  import.groups = groups_of(import);
  if (import.experiment.n_held_out() > 0) return split_as_laid_out(import);
  std::vector<SplitItem> items;
  std::set<std::string> seen;
  for (const auto i : import.kept) {
    const auto& slice = import.experiment.slices[i];
    if (!seen.insert(slice.recording).second) continue;
    items.push_back(
        {slice.recording, import.speakers[static_cast<std::size_t>(slice.speaker)], import.groups.at(slice.recording)});
  }
  const auto& request = import.request;
  const auto sides = split_recordings(
      items, {.validation = request.validation_share, .test = request.test_share, .seed = request.seed});
  for (std::size_t k = 0; k < items.size(); ++k) import.sides[items[k].name] = sides[k];
}

void name_speakers(Import& import) {
  const auto n = import.experiment.n_speakers();
  for (std::int64_t i = 0; i < n; ++i) {
    import.speakers.push_back(n == 1 ? import.request.voice : fmt::format("{}-{}", import.request.voice, i));
  }
}

void make_clips(Import& import) {
  std::map<std::string, std::int64_t> ends;  // of each recording so far
  for (const auto i : import.kept) {
    const auto& slice = import.experiment.slices[i];
    const auto length = import.verdicts[i].n_samples;
    import.clips.push_back({.index = std::ssize(import.clips),
                            .recording = slice.recording,
                            .recording_offset = ends[slice.recording],
                            .speaker = slice.speaker,
                            .length = length,
                            .split = import.sides.at(slice.recording)});
    ends[slice.recording] += length;
  }
}

std::string parameters_of(const Import& import) {
  const auto& experiment = import.experiment;
  return nlohmann::ordered_json{
      {"imported",
       {{"tool", experiment.layout->tool},
        {"experiment", fs::absolute(experiment.folder).lexically_normal().filename().string()},
        {"embedder", experiment.embedder}}},
      {"validation_share", import.request.validation_share},
      {"test_share", import.request.test_share},
      {"seed", import.request.seed}}
      .dump();
}

std::vector<RecordingRow> rows_of(const Import& import) {
  std::vector<RecordingRow> rows;
  const auto& slices = import.experiment.slices;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const auto& verdict = import.verdicts[i];
    RecordingRow row{.path = name_in(import.experiment, slices[i].wave),
                     .speaker = import.speakers[static_cast<std::size_t>(slices[i].speaker)],
                     .fate = std::string(name_of(verdict.fate)),
                     .detail = verdict.detail,
                     .seconds = verdict.seconds};
    if (is_kept(verdict.fate)) {
      row.kept_seconds = verdict.seconds;
      row.n_clips = 1;
      row.duplicate_group = import.groups.at(slices[i].recording);
      row.split = name_of(import.sides.at(slices[i].recording));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

void write(const Import& import, EventSink& events) {
  const auto& request = import.request;
  DatasetPlan plan{.sample_rate_hz = import.sample_rate_hz,
                   .parameters = parameters_of(import),
                   .tool_version = request.tool_version,
                   .storage = WaveStorage::float32,
                   .speakers = import.speakers,
                   .clips = import.clips,
                   .recordings = rows_of(import)};
  FeaturePlan f0{request.pitch, 1, {}, 1}, content{request.content, request.content_width, {}, kContentFramesARow};
  for (const auto& clip : import.clips) {
    f0.frames.push_back(n_feature_frames(clip.length, import.sample_rate_hz));
    content.frames.push_back(f0.frames.back());
  }
  write_dataset(request.dataset, std::move(plan), [&](DatasetWriter& writer) {
    writer.begin_features(f0);
    writer.begin_features(content);
    for (std::size_t k = 0; k < import.kept.size(); ++k) {
      if (stop_requested() != 0) throw Error::interrupted(stop_requested(), "stopped; nothing was imported");
      const auto data = read_slice(import, import.experiment.slices[import.kept[k]]);
      const auto clip = static_cast<std::int64_t>(k);
      writer.write_wave(clip, data.wave);
      writer.write_features(request.pitch, clip, data.f0.values);
      writer.write_features(request.content, clip, data.content.values);
      events.receive(ProgressEvent{
          "writing the dataset", static_cast<double>(k + 1), static_cast<double>(import.kept.size()), "clips", {}});
    }
  });
}

std::vector<SpeakerSummary> summaries_of(const Import& import) {
  std::vector<SpeakerSummary> speakers;
  for (const auto& name : import.speakers) speakers.push_back({name, {}, {}, {}});
  std::set<std::string> counted;
  for (const auto& clip : import.clips) {
    auto& speaker = speakers[static_cast<std::size_t>(clip.speaker)];
    ++speaker.clips[clip.split];
    speaker.seconds[clip.split] += static_cast<double>(clip.length) / static_cast<double>(import.sample_rate_hz);
    if (counted.insert(clip.recording).second) ++speaker.recordings[clip.split];
  }
  return speakers;
}

// The rate of the first slice that can be read; 0 if none can.
std::int64_t first_rate(const ExperimentFolder& experiment) {
  for (const auto& slice : experiment.slices) {
    try {
      return probe_audio(slice.wave).sample_rate_hz;
    } catch (const Error&) {
      // its fate says so later
    }
  }
  return 0;
}

}  // namespace
}  // namespace import_dataset_detail

std::int64_t content_width_of(const ExperimentFolder& experiment) {
  for (const auto& slice : experiment.slices) {
    if (!fs::exists(slice.content)) continue;
    try {
      const auto array = read_npy(slice.content);
      if (array.shape.size() == 2) return array.shape[1];
    } catch (const Error&) {
      // its fate says so later
    }
  }
  return 0;
}

PrepareReport import_dataset(const ExperimentFolder& experiment, const ImportRequest& request, EventSink& events) {
  using namespace import_dataset_detail;
  if (fs::exists(request.dataset) && !request.force) {
    fail(ErrorKind::usage, "there is already a dataset '{}'; choose another --name, or replace it with --force",
         request.dataset.string());
  }
  Import import{.experiment = experiment, .request = request};
  import.sample_rate_hz = request.sample_rate_hz > 0 ? request.sample_rate_hz : first_rate(experiment);
  name_speakers(import);
  judge_slices(import, events);
  for (std::size_t i = 0; i < import.verdicts.size(); ++i) {
    if (is_kept(import.verdicts[i].fate)) import.kept.push_back(i);
  }
  PrepareReport report{.dataset = request.dataset, .outcome = "nothing usable"};
  report.sample_rate_hz = import.sample_rate_hz;
  split_by_recording(import);
  make_clips(import);
  report.recordings = rows_of(import);
  report.speakers = summaries_of(import);
  if (import.kept.empty()) return report;
  make_folders(request.dataset.parent_path(), "name another --workspace");
  write(import, events);
  const auto written = Dataset::open(request.dataset);
  report.content_hash = written.content_hash();
  report.split_hash = written.split_hash();
  report.features = written.feature_sets();
  report.outcome = "written";
  return report;
}

}  // namespace melisma
