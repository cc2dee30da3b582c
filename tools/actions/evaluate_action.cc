#include "tools/actions/evaluate_action.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "data/audio/audio_writer.h"
#include "eval/suites/resynthesis.h"
#include "experiments/runs/held_out_caveat.h"
#include "models/layers/device.h"
#include "models/rvc/voice_file.h"
#include "tools/actions/console.h"
#include "tools/actions/dataset_source.h"
#include "tools/actions/held_out.h"
#include "tools/base/atomic_file.h"
#include "tools/base/clock.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace evaluate_detail {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string command_of(const EvaluateOptions& options) {
  return fmt::format("melisma evaluate {} --epoch {} --dataset {} --split {}", options.model, options.epoch,
                     options.dataset, options.split);
}

// The first clip of each of the first `n` recordings of the split.
std::vector<Clip> example_clips(const Dataset& dataset, Split split, std::int64_t n) {
  std::vector<Clip> chosen;
  std::set<std::string> seen;
  for (const auto& clip : dataset.clips_of(split)) {
    if (static_cast<std::int64_t>(chosen.size()) == n) break;
    if (seen.insert(clip.recording).second) chosen.push_back(clip);
  }
  return chosen;
}

// Writes each example's audio into `folder` and returns what the report needs to find it.
Json keep_examples(const Dataset& dataset, const EvaluateOptions& options, const std::vector<Candidate>& candidates,
                   const fs::path& folder) {
  auto examples = Json::array();
  write_folder_atomically(folder, [&](const fs::path& temporary) {
    const auto clips = example_clips(dataset, split_named(options.split), options.examples);
    for (std::size_t i = 0; i < clips.size(); ++i) {
      Json example{{"recording", clips[i].recording}, {"sounds", Json::array()}};
      const auto keep = [&](const std::string& label, std::vector<float> samples) {
        const auto name = fmt::format("{:02}-{}.flac", i + 1, example["sounds"].size());
        write_audio(temporary / name,
                    {.samples = std::move(samples), .n_channels = 1, .sample_rate_hz = dataset.sample_rate_hz()},
                    "flac16");
        example["sounds"].push_back({{"label", label}, {"file", folder.filename().string() + "/" + name}});
      };
      keep("recording", dataset.wave(clips[i]));
      for (const auto& candidate : candidates) {
        if (!candidate.is_bound) keep(candidate.name, candidate.make(clips[i]));
      }
      examples.push_back(std::move(example));
    }
  });
  return examples;
}

}  // namespace
}  // namespace evaluate_detail

int evaluate(const EvaluateOptions& options) {
  using namespace evaluate_detail;
  const auto split = split_named(options.split);
  (void)metrics_named(options.metrics);  // a typo ends here, not after the work
  auto events = console_events();
  auto dataset = Dataset::open(dataset_path(options.workspace, options.dataset));
  const auto source = find_model(options.workspace, options.model, options.epoch);
  const auto model = measured_voice(source, read_rvc_voice(source.file), dataset, open_device(options.device));
  const auto untrained = Voice::untrained(model.file, options.noise_seed);
  require_clips(dataset, split);
  const auto caveat = source.run ? held_out_caveat(source.run->manifest(), dataset.content_hash()) : std::string();
  if (!caveat.empty()) warn(*events, caveat);
  if (split == Split::test) dataset.record_test_opening({utc_now(), command_of(options), model.sha256});

  const std::vector<Candidate> candidates{
      voice_candidate(source.label, "the model", model.voice, dataset, options.noise_seed),
      voice_candidate("untrained", "the same network with fresh weights", untrained, dataset, options.noise_seed),
      recording_itself(dataset)};
  const auto result = run_resynthesis(dataset,
                                      {.split = split,
                                       .metrics = options.metrics,
                                       .max_clips = options.max_clips,
                                       .progress = clip_progress(*events, "evaluating")},
                                      candidates);
  auto json = to_json(result);
  json["model"] = identity_json(model);
  json["noise_seed"] = options.noise_seed;
  json["command"] = command_of(options);
  json["time_utc"] = utc_now();
  json["test_openings"] = ledger_json(dataset);
  if (!caveat.empty()) json["caveat"] = caveat;
  fs::path kept;
  if (source.run) {
    const auto stem = fmt::format("{}-{}", options.split, json["model"]["epoch"].get<std::int64_t>());
    fs::create_directories(source.run->evaluations());
    json["examples"] = keep_examples(dataset, options, candidates, source.run->evaluations() / stem);
    kept = source.run->evaluations() / (stem + ".json");
    write_file_atomically(kept, json_text(json) + "\n");
  }
  if (!options.output.empty()) write_file_atomically(options.output, json_text(json) + "\n");

  if (options.json) {
    fmt::print("{}\n", json_text(json));
    return 0;
  }
  fmt::print("{}", to_table(result));
  if (split == Split::test) print_ledger(dataset);
  if (!kept.empty()) fmt::print("\nkept in {}\n", kept.string());
  return 0;
}

}  // namespace melisma
