#include "tools/actions/evaluate_action.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "data/audio/audio_writer.h"
#include "eval/suites/resynthesis.h"
#include "infer/convert/voice.h"
#include "tools/actions/console.h"
#include "tools/actions/dataset_source.h"
#include "tools/actions/model_source.h"
#include "tools/base/atomic_file.h"
#include "tools/base/clock.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/hash.h"

namespace melisma {
namespace evaluate_detail {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string command_of(const EvaluateOptions& options) {
  return fmt::format("melisma evaluate {} --epoch {} --dataset {} --split {}", options.model, options.epoch,
                     options.dataset, options.split);
}

Candidate voice_candidate(std::string name, std::string summary, const Voice& voice, const Dataset& dataset,
                          std::uint64_t noise_seed) {
  return {std::move(name), std::move(summary), [&voice, &dataset, noise_seed](const Clip& clip) {
            return voice.resynthesize(dataset, clip, {.noise_seed = noise_seed});
          }};
}

Json ledger_json(const Dataset& dataset) {
  auto entries = Json::array();
  for (const auto& entry : dataset.ledger()) {
    entries.push_back({{"time_utc", entry.time_utc}, {"command", entry.command}, {"model_hash", entry.model_hash}});
  }
  return entries;
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
  const auto file = read_model(source.file);
  const auto voice = with_context(fmt::format("loading '{}'", options.model), [&] { return Voice::load(file); });
  if (voice.sample_rate_hz() != dataset.sample_rate_hz()) {
    fail(ErrorKind::data, "'{}' speaks at {} Hz but the dataset '{}' is at {} Hz; prepare one at the voice's rate",
         source.label, voice.sample_rate_hz(), dataset.path().string(), dataset.sample_rate_hz());
  }
  const auto untrained = Voice::untrained(file, options.noise_seed);
  const auto model_hash = sha256_of_file(source.file);
  if (dataset.clips_of(split).empty()) {
    fail(ErrorKind::data, "{}: the {} split has no clips", dataset.path().string(), options.split);
  }
  if (split == Split::test) dataset.record_test_opening({utc_now(), command_of(options), model_hash});

  const std::vector<Candidate> candidates{
      voice_candidate(source.label, "the model", voice, dataset, options.noise_seed),
      voice_candidate("untrained", "the same network with fresh weights", untrained, dataset, options.noise_seed),
      recording_itself(dataset)};
  const auto result =
      run_resynthesis(dataset,
                      {.split = split,
                       .metrics = options.metrics,
                       .max_clips = options.max_clips,
                       .progress =
                           [&](std::int64_t done, std::int64_t total) {
                             events->receive(ProgressEvent{
                                 "evaluating", static_cast<double>(done), static_cast<double>(total), "clips", {}});
                           }},
                      candidates);
  auto json = to_json(result);
  json["model"] = {{"label", source.label},
                   {"file", source.file.string()},
                   {"sha256", model_hash},
                   {"epoch", source.checkpoint ? source.checkpoint->epoch : file.epoch},
                   {"step", source.checkpoint ? source.checkpoint->step : file.step}};
  json["noise_seed"] = options.noise_seed;
  json["command"] = command_of(options);
  json["time_utc"] = utc_now();
  json["test_openings"] = ledger_json(dataset);
  fs::path kept;
  if (source.run) {
    const auto stem = fmt::format("{}-{}", options.split, json["model"]["epoch"].get<std::int64_t>());
    fs::create_directories(source.run->evaluations());
    json["examples"] = keep_examples(dataset, options, candidates, source.run->evaluations() / stem);
    kept = source.run->evaluations() / (stem + ".json");
    write_file_atomically(kept, json.dump(1) + "\n");
  }
  if (!options.output.empty()) write_file_atomically(options.output, json.dump(1) + "\n");

  if (options.json) {
    fmt::print("{}\n", json.dump(1));
    return 0;
  }
  fmt::print("{}", to_table(result));
  const auto openings = dataset.ledger();
  if (split == Split::test) {
    fmt::print("\nthe test split has been opened {} so far:\n",
               format_amount(static_cast<double>(openings.size()), "times"));
    for (const auto& entry : openings) {
      fmt::print("  {}  {}  model {}\n", entry.time_utc, entry.command, entry.model_hash.substr(0, 12));
    }
  }
  if (!kept.empty()) fmt::print("\nkept in {}\n", kept.string());
  return 0;
}

}  // namespace melisma
