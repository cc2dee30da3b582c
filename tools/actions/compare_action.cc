#include "tools/actions/compare_action.h"

#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "models/rvc/similarity.h"
#include "models/rvc/voice_file.h"
#include "tools/actions/console.h"
#include "tools/actions/dataset_source.h"
#include "tools/actions/held_out.h"
#include "tools/base/clock.h"
#include "tools/base/hash.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace compare_detail {
namespace {
using Json = nlohmann::ordered_json;

std::string command_of(const CompareOptions& options) {
  return fmt::format("melisma compare {} {} --epoch {} --dataset {} --split {}", options.model, options.other,
                     options.epoch, options.dataset, options.split);
}

// By weights: {"differences", "parts", "attention"}.
Json compared_weights(const NamedVoice& a, const NamedVoice& b, std::uint64_t seed) {
  Json json{{"differences", voice_differences(a, b)}, {"parts", Json::array()}};
  for (const auto& part : part_similarities(a, b)) {
    const bool has_numbers = part.why_none.empty();
    json["parts"].push_back({{"part", part.part},
                             {"parameters", part.parameters},
                             {"cosine", has_numbers ? Json(part.cosine) : Json()},
                             {"relative_distance", has_numbers ? Json(part.relative_distance) : Json()},
                             {"why_none", part.why_none}});
  }
  const auto attention = attention_similarity(a, b, {.seed = seed});
  const bool has_numbers = attention.why_none.empty();
  json["attention"] = {{"mean_percent", has_numbers ? Json(attention.mean) : Json()},
                       {"layers_percent", attention.layers},
                       {"why_none", attention.why_none},
                       {"seed", seed}};
  return json;
}

// By ear: both voices over the same clips.
ResynthesisResult compared_audio(const CompareOptions& options, Dataset& dataset, const MeasuredVoice& a,
                                 const MeasuredVoice& b) {
  const auto split = split_named(options.split);
  require_clips(dataset, split);
  if (split == Split::test) {
    for (const auto* measured : {&a, &b}) {
      dataset.record_test_opening({utc_now(), command_of(options), measured->sha256});
    }
  }
  const auto events = console_events();
  return run_resynthesis(
      dataset,
      {.split = split,
       .metrics = options.metrics,
       .max_clips = options.max_clips,
       .progress = clip_progress(*events, "comparing")},
      {voice_candidate(a.source.label, "the first model", a.voice, dataset, options.seed),
       voice_candidate(b.source.label, "the second model", b.voice, dataset, options.seed), recording_itself(dataset)});
}

void print_weights(const Json& json) {
  fmt::print("{:<12} {:>12} {:>10} {:>20}\n", "weights", "parameters", "cosine", "relative distance");
  for (const auto& part : json["parts"]) {
    const auto name = part["part"].get<std::string>();
    if (part["cosine"].is_null()) {
      fmt::print("{:<12} {:>12} none: {}\n", name, part["parameters"].dump(), part["why_none"].get<std::string>());
      continue;
    }
    fmt::print("{:<12} {:>12} {:>10.5f} {:>20.5f}\n", name, part["parameters"].dump(), part["cosine"].get<double>(),
               part["relative_distance"].get<double>());
  }
  const auto& attention = json["attention"];
  if (attention["mean_percent"].is_null()) {
    fmt::print("attention    none: {}\n", attention["why_none"].get<std::string>());
  } else {
    fmt::print("attention    {:.2f} % alike on random frames; by layer {:.2f} %\n",
               attention["mean_percent"].get<double>(),
               fmt::join(attention["layers_percent"].get<std::vector<double>>(), ", "));
  }
  for (const auto& difference : json["differences"]) fmt::print("differs: {}\n", difference.get<std::string>());
}

}  // namespace
}  // namespace compare_detail

int compare(const CompareOptions& options) {
  using namespace compare_detail;
  const c10::NoGradGuard no_grad;
  (void)split_named(options.split);
  (void)metrics_named(options.metrics);  // a typo ends here, not after the work
  std::vector<ModelSource> sources{find_model(options.workspace, options.model, options.epoch),
                                   find_model(options.workspace, options.other, options.epoch)};
  make_labels_distinct(sources);
  std::optional<Dataset> dataset;
  if (!options.dataset.empty()) dataset = Dataset::open(dataset_path(options.workspace, options.dataset));
  const NamedVoice a{sources[0].label, read_rvc_voice(sources[0].file)};
  const NamedVoice b{sources[1].label, read_rvc_voice(sources[1].file)};
  auto json = compared_weights(a, b, options.seed);
  for (const auto& source : sources) {
    json["models"].push_back(
        {{"label", source.label}, {"file", source.file.string()}, {"sha256", sha256_of_file(source.file)}});
  }
  std::optional<ResynthesisResult> heard;
  if (dataset) {
    const auto first = measured_voice(sources[0], a.file, *dataset),
               second = measured_voice(sources[1], b.file, *dataset);
    heard = compared_audio(options, *dataset, first, second);
    json["held_out"] = to_json(*heard);
    json["test_openings"] = ledger_json(*dataset);
  }
  if (options.json) {
    json["time_utc"] = utc_now();
    fmt::print("{}\n", json_text(json));
    return 0;
  }
  print_weights(json);
  if (heard) {
    fmt::print("\n{}", to_table(*heard));
    if (heard->split == Split::test) print_ledger(*dataset);
  }
  return 0;
}

}  // namespace melisma
