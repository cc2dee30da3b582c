#include "tools/actions/index_action.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "data/sets/dataset.h"
#include "models/retrieval/feature_index.h"
#include "tools/actions/console.h"
#include "tools/actions/dataset_source.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/json_text.h"
#include "tools/base/table.h"

namespace melisma {
namespace {

FeatureKey content_features(const Dataset& dataset, const std::string& hash) {
  std::vector<FeatureKey> found;
  std::vector<std::string> hashes;
  for (const auto& key : dataset.feature_sets()) {
    if (key.kind != "content") continue;
    if (key.parameter_hash() == hash) return key;
    found.push_back(key);
    hashes.push_back(key.parameter_hash());
  }
  const auto file = dataset.path().string();
  if (!hash.empty()) throw Error(ErrorKind::usage, unknown_name_message("content features", hash, hashes));
  if (found.empty()) fail(ErrorKind::data, "'{}' has no content features; prepare it again", file);
  if (found.size() > 1) {
    fail(ErrorKind::usage, "'{}' has several content features; choose with --features: {}", file,
         fmt::join(hashes, ", "));
  }
  return found.front();
}

std::vector<Clip> indexed_clips(const Dataset& dataset, const std::string& speaker) {
  auto clips = dataset.clips_of(Split::train);
  if (!speaker.empty()) {
    const auto& names = dataset.speakers();
    const auto named = std::find(names.begin(), names.end(), speaker);
    if (named == names.end()) throw Error(ErrorKind::usage, unknown_name_message("speaker", speaker, names));
    std::erase_if(clips, [&](const Clip& clip) { return clip.speaker != named - names.begin(); });
  }
  if (clips.empty()) {
    fail(ErrorKind::data, "'{}' has no training clip{}", dataset.path().string(),
         speaker.empty() ? "" : fmt::format(" of '{}'", speaker));
  }
  return clips;
}

// The frames of all clips, one below the other: [frames, width].
at::Tensor frames_of(const Dataset& dataset, const FeatureKey& key, const std::vector<Clip>& clips) {
  std::vector<at::Tensor> parts;
  for (const auto& clip : clips) {
    const auto features = dataset.feature_rows(key, clip);
    parts.push_back(at::tensor(features.values, at::kFloat).view({features.n_frames, features.width}));
  }
  return at::cat(parts);
}

}  // namespace

int build_index(const IndexOptions& options) {
  require_writable(options.output);
  const auto dataset = Dataset::open(dataset_path(options.workspace, options.dataset));
  const auto key = content_features(dataset, options.features);
  const auto clips = indexed_clips(dataset, options.speaker);
  const auto events = console_events();
  const auto frames = frames_of(dataset, key, clips);
  const auto index = FeatureIndex::build(frames, {.seed = options.seed}, [&](double done) {
    events->receive(ProgressEvent{"building the index", 100 * done, 100, "%", {}});
  });
  events->flush();
  index.save(options.output);
  const nlohmann::ordered_json result{
      {"path", options.output.string()}, {"bytes", std::filesystem::file_size(options.output)},
      {"clips", clips.size()},           {"frames", frames.size(0)},
      {"vectors", index.size()},         {"width", index.width()},
      {"lists", index.n_lists()},        {"features", key.parameter_hash()}};
  if (options.json) {
    fmt::print("{}\n", json_line(result));
  } else {
    fmt::print("{}: {} vectors of {} columns in {} lists, from {} frames of {} training clips\n",
               options.output.string(), index.size(), index.width(), index.n_lists(), frames.size(0), clips.size());
  }
  return 0;
}

}  // namespace melisma
