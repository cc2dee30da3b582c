// What commands share that measure voices on held-out recordings.
#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "data/sets/dataset.h"
#include "eval/suites/resynthesis.h"
#include "infer/convert/voice.h"
#include "tools/actions/model_source.h"
#include "tools/base/event.h"

namespace melisma {

// A voice to be measured, and what its numbers must say they are of.
struct MeasuredVoice {
  ModelSource source;
  ModelFile file;
  Voice voice;
  std::string sha256;  // of the model's file
};

// Of a model found and read. Error(data) if it does not speak at the dataset's rate.
[[nodiscard]] MeasuredVoice measured_voice(ModelSource source, ModelFile file, const Dataset& dataset,
                                           at::Device device = at::kCPU);
// {"label", "file", "sha256", "epoch", "step"}
[[nodiscard]] nlohmann::ordered_json identity_json(const MeasuredVoice& measured);

// The voice as a candidate of the resynthesis suite; it, and the dataset, must outlive it.
[[nodiscard]] Candidate voice_candidate(std::string name, std::string summary, const Voice& voice,
                                        const Dataset& dataset, std::uint64_t noise_seed);

// Error(data) if the split has no clips.
void require_clips(const Dataset& dataset, Split split);

// Progress of run_resynthesis as events.
[[nodiscard]] std::function<void(std::int64_t, std::int64_t)> clip_progress(EventSink& events, std::string task);

// Every opening of the test split, as JSON and as lines on stdout.
[[nodiscard]] nlohmann::ordered_json ledger_json(const Dataset& dataset);
void print_ledger(const Dataset& dataset);

}  // namespace melisma
