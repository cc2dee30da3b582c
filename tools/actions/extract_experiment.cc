#include "tools/actions/extract_experiment.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "data/audio/audio_writer.h"
#include "data/audio/resample.h"
#include "data/sets/npy.h"
#include "infer/features/content.h"
#include "infer/features/pitch.h"
#include "models/catalogue/catalogue.h"
#include "tools/actions/console.h"
#include "tools/actions/import_run.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"
#include "tools/base/stop.h"
#include "train/import/experiment_folder.h"

namespace melisma {
namespace fs = std::filesystem;
namespace extract_experiment_detail {
namespace {

const ExperimentLayout& layout_for(RvcTool tool, std::int64_t content_channels) {
  if (tool == RvcTool::applio) return kExperimentLayouts[0];
  return kExperimentLayouts[content_channels == 256 ? 2 : 1];
}

// Numbers recordings as the tools do, in the order of the dataset: "0_12_3" for Applio, "12_3" for RVC-WebUI.
class SliceNames {
 public:
  explicit SliceNames(RvcTool tool) : tool_(tool) {}
  std::string next(const Clip& clip) {
    const auto [found, is_new] = recordings_.try_emplace(clip.recording, std::ssize(recordings_), 0);
    auto& [recording, n_slices] = found->second;
    const auto name = fmt::format("{}_{}", recording, n_slices++);
    return tool_ == RvcTool::applio ? fmt::format("{}_{}", clip.speaker, name) : name;
  }

 private:
  RvcTool tool_;
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> recordings_;  // number, slices so far
};

// Everything that stays the same from slice to slice.
struct Writing {
  const ExperimentLayout& layout;
  const Dataset& dataset;
  FeatureKey pitch, content;
};

// Below the experiment folder; empty = itself.
fs::path place_of(Split split) {
  return split == Split::train ? fs::path() : fs::path(kHeldOutFolder) / name_of(split);
}

void make_slice_folders(const fs::path& place, const ExperimentLayout& layout) {
  for (const auto part : {layout.waves, layout.waves_16k, layout.f0, layout.coarse, layout.content}) {
    make_folders(place / part, "name another folder with --output");
  }
}

void write_slice(const Writing& writing, const fs::path& folder, const std::string& name, const Clip& clip) {
  const auto& [layout, dataset, pitch, content_key] = writing;
  const auto rate = dataset.sample_rate_hz();
  const auto samples = dataset.wave(clip);
  write_audio(folder / layout.waves / (name + ".wav"), {samples, 1, rate}, "wav32f");
  write_audio(folder / layout.waves_16k / (name + ".wav"),
              {resample(std::span(samples), rate, kFeatureRateHz), 1, kFeatureRateHz}, "wav32f");
  auto f0 = dataset.features(pitch, clip).values;
  if (!f0.empty()) f0.push_back(f0.back());  // the tools count the frame at the very end, too
  const std::vector<std::int64_t> n_frames{std::ssize(f0)};
  const auto bins = coarse_pitch(f0);
  write_npy<double>(folder / layout.f0 / (name + ".wav.npy"), std::vector<double>(f0.begin(), f0.end()), n_frames);
  write_npy<std::int32_t>(folder / layout.coarse / (name + ".wav.npy"),
                          std::vector<std::int32_t>(bins.begin(), bins.end()), n_frames);
  const auto content = dataset.feature_rows(content_key, clip);
  const std::vector<std::int64_t> shape{std::ssize(content.values) / content.width, content.width};
  write_npy<float>(folder / layout.content / (name + ".npy"), content.values, shape);
}

// A line of filelist.txt; `folder` as seen from the tool's own.
std::string line_of(const fs::path& folder, const ExperimentLayout& layout, const std::string& name,
                    std::int64_t speaker) {
  const auto place = [&](std::string_view part, std::string_view ending) {
    return (folder / part / fmt::format("{}{}", name, ending)).generic_string();
  };
  return fmt::format("{}|{}|{}|{}|{}\n", place(layout.waves, ".wav"), place(layout.content, ".npy"),
                     place(layout.coarse, ".wav.npy"), place(layout.f0, ".wav.npy"), speaker);
}

// The encoder as Applio names it: that of the catalogue with these weights, or "custom".
std::string embedder_of(const ContentConfig& content) {
  if (content.weights_sha256.starts_with(kImportedWeights)) {
    return content.weights_sha256.substr(kImportedWeights.size());
  }
  for (const auto& entry : whole_catalogue()) {
    for (const auto& file : entry.files) {
      if (file.sha256 == content.weights_sha256) return entry.name;
    }
  }
  return "custom";
}

// Content features that the tool would make itself; throws Error(usage) where it makes nothing of the kind.
ContentConfig checked_content(RvcTool tool, const RvcVoiceConfig& voice, EventSink& events) {
  if (!voice.network.use_f0) {
    fail(ErrorKind::usage, "the voice was trained without pitch; an experiment is written for voices with it");
  }
  const auto content = content_config_of(voice.content_parameters);
  if (content.method != "hubert") {
    fail(ErrorKind::usage,
         "the voice hears '{}' features, which {} does not make; an experiment needs content.method = hubert",
         content.method, name_of(tool));
  }
  auto usual = content_of_experiment({.folder = {}, .layout = &layout_for(tool, voice.network.content_channels)},
                                     voice.network.content_channels);
  usual.weights_sha256 = content.weights_sha256;
  usual.hubert.arithmetic = content.hubert.arithmetic;
  if (key_of(usual).parameters != key_of(content).parameters) {
    warn(events, fmt::format("{} makes other content features than the voice hears: {} where the voice has {}. It "
                             "trains on with those written here, but conversions there will not sound as here",
                             name_of(tool), key_of(usual).parameters, key_of(content).parameters));
  }
  return content;
}

void count(WrittenExperiment& written, const Clip& clip, std::int64_t sample_rate_hz) {
  if (clip.split != Split::train) {
    ++written.n_held_out;
    return;
  }
  ++written.n_slices;
  written.seconds += static_cast<double>(clip.length) / static_cast<double>(sample_rate_hz);
}

void write_model_info(const fs::path& folder, const WrittenExperiment& written, const std::string& embedder,
                      std::size_t n_speakers) {
  const auto whole = std::llround(written.seconds);
  const nlohmann::ordered_json info{
      {"total_dataset_duration", fmt::format("{:02}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)},
      {"total_seconds", written.seconds},
      {"embedder_model", embedder},
      {"speakers_id", n_speakers}};
  write_file_atomically(folder / "model_info.json", info.dump(4) + "\n");
}

void write_held_out_note(const fs::path& folder, const std::string& caveat) {
  const nlohmann::ordered_json note{
      {"note", "recordings held out of training: the tool must not train on them; melisma import measures on them"},
      {"caveat", caveat}};
  write_file_atomically(folder / kHeldOutFolder / kHeldOutFile, json_text(note) + "\n");
}

}  // namespace
}  // namespace extract_experiment_detail

WrittenExperiment write_experiment(const fs::path& folder, const ExperimentRequest& request, const Dataset& dataset,
                                   const RvcVoiceConfig& voice, EventSink& events) {
  using namespace extract_experiment_detail;
  const auto content = checked_content(request.tool, voice, events);
  const auto& layout = layout_for(request.tool, voice.network.content_channels);
  const Writing writing{layout, dataset, {"pitch", voice.pitch_parameters}, {"content", voice.content_parameters}};
  WrittenExperiment written;
  SliceNames names(request.tool);
  std::map<Split, std::string> lists;  // contents of filelist.txt
  for (const auto& clip : dataset.clips()) {
    if (stop_requested() != 0) throw Error::interrupted(stop_requested(), "stopped; nothing was written");
    const auto place = place_of(clip.split);
    const auto [list, is_first] = lists.try_emplace(clip.split);
    if (is_first) make_slice_folders(folder / place, layout);
    const auto name = names.next(clip);
    write_slice(writing, folder / place, name, clip);
    list->second += line_of(fs::path("logs") / request.name / place, layout, name, clip.speaker);
    count(written, clip, dataset.sample_rate_hz());
    events.receive(ProgressEvent{"writing slices",
                                 static_cast<double>(written.n_slices + written.n_held_out),
                                 static_cast<double>(dataset.clips().size()),
                                 "slices",
                                 {}});
  }
  for (const auto& [split, list] : lists) write_file_atomically(folder / place_of(split) / "filelist.txt", list);
  if (written.n_held_out > 0) write_held_out_note(folder, request.held_out_caveat);
  if (request.tool == RvcTool::applio) {
    write_model_info(folder, written, embedder_of(content), dataset.speakers().size());
  }
  return written;
}

}  // namespace melisma
