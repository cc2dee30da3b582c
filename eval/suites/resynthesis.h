// The resynthesis suite: held-out clips through a model and back, measured per recording, against baselines.
// Torch-free.
//
//   auto result = run_resynthesis(dataset, {.split = Split::validation},
//                                 {{"alice, epoch 12", "the model", voice_of(model)},
//                                  {"untrained", "the same network, fresh weights", voice_of(untrained)}});
//   fmt::print("{}", to_table(result));
#pragma once
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "eval/metrics/metrics.h"
#include "eval/statistics/bootstrap.h"

namespace melisma {

// A clip -> a wave at the dataset's rate.
using Resynthesise = std::function<std::vector<float>(const Clip&)>;

// The first candidate of a run is the model in question; the others are its baselines.
struct Candidate {
  std::string name, summary;
  Resynthesise make;
  bool is_bound = false;  // the recording itself: measured without calling make, shown, not compared with
};

// The clip itself: what each metric says of a perfect copy.
[[nodiscard]] Candidate recording_itself(const Dataset& dataset);

struct ResynthesisOptions {
  Split split = Split::validation;
  std::vector<std::string> metrics;  // names of kMetrics; none = the default ones
  int64_t max_clips = 0;             // 0 = all; otherwise evenly spaced over the split
  // Called after each clip of each candidate.
  std::function<void(int64_t done, int64_t total)> progress;
};

// One metric of one recording: the mean over its clips that have a number.
struct RecordingScore {
  double value = 0;  // NaN if no clip has one
  int64_t n_clips = 0;
};

// One metric of one candidate: the mean over recordings with its 95 % bootstrap interval.
struct MetricSummary {
  const Metric* metric = nullptr;
  MeanInterval over_recordings;
  int64_t n_clips = 0;                                    // with a number
  std::vector<std::pair<std::string, int64_t>> left_out;  // why clips have none, and how many
  std::vector<RecordingScore> recordings;                 // as ResynthesisResult.recordings
};

struct CandidateResult {
  std::string name, summary;
  bool is_bound = false;
  std::vector<MetricSummary> metrics;
  double seconds = 0;  // spent making audio
};

// The model minus a baseline, paired by recording.
struct PairedDifference {
  const Metric* metric = nullptr;
  std::string baseline;
  MeanInterval difference;
  double relative_percent = 0;  // difference of the means in percent of the baseline's mean
  double p = 1;                 // two-sided signed-rank test over recordings
  double p_holm = 1;            // corrected for all differences of the result
  bool is_better = false;       // the interval lies on the better side of zero
};

struct ResynthesisResult {
  Split split = Split::validation;
  std::string dataset, dataset_hash, split_hash;
  int64_t sample_rate_hz = 0, n_clips = 0;
  double seconds = 0;  // of audio
  std::vector<std::string> recordings;
  std::vector<CandidateResult> candidates;
  std::vector<PairedDifference> differences;
};

// Error(data) if the split has no clip; Error(usage) for an unknown metric.
[[nodiscard]] ResynthesisResult run_resynthesis(const Dataset& dataset, const ResynthesisOptions& options,
                                                const std::vector<Candidate>& candidates);

// Everything, with every recording's value; numbers that do not exist are null.
[[nodiscard]] nlohmann::ordered_json to_json(const ResynthesisResult& result);
// For people: one row a metric and candidate with interval, then the paired differences.
[[nodiscard]] std::string to_table(const ResynthesisResult& result);

}  // namespace melisma
