#include "eval/suites/resynthesis.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "eval/statistics/multiplicity.h"
#include "eval/statistics/quantile.h"
#include "eval/statistics/rank_tests.h"
#include "tools/base/error.h"

namespace melisma {
namespace resynthesis_suite {
namespace {

// max_clips of them, evenly spaced; all for 0.
std::vector<Clip> choose_clips(const Dataset& dataset, const ResynthesisOptions& options) {
  auto clips = dataset.clips_of(options.split);
  if (clips.empty()) {
    fail(ErrorKind::data, "{}: the {} split has no clips; prepare it with more recordings, or another --split",
         dataset.path().string(), name_of(options.split));
  }
  const auto n = static_cast<int64_t>(clips.size());
  if (options.max_clips <= 0 || options.max_clips >= n) return clips;
  std::vector<Clip> chosen;
  for (int64_t i = 0; i < options.max_clips; ++i) {
    chosen.push_back(clips[static_cast<std::size_t>(i * n / options.max_clips)]);
  }
  return chosen;
}

// What one candidate scored: values[clip][metric].
struct ClipScores {
  std::vector<std::vector<MetricValue>> values;
  double seconds = 0;
};

MetricSummary summarise(const Metric* metric, std::size_t column, const ClipScores& scores,
                        const std::vector<std::size_t>& recording_of_clip, std::size_t n_recordings) {
  MetricSummary summary;
  summary.metric = metric;
  std::vector<std::vector<double>> by_recording(n_recordings);
  std::map<std::string, int64_t> left_out;
  for (std::size_t clip = 0; clip < scores.values.size(); ++clip) {
    const auto& value = scores.values[clip][column];
    if (value.why_none.empty()) {
      by_recording[recording_of_clip[clip]].push_back(value.value);
      ++summary.n_clips;
    } else {
      ++left_out[value.why_none];
    }
  }
  std::vector<double> means;
  for (const auto& values : by_recording) {
    summary.recordings.push_back({mean(values), static_cast<int64_t>(values.size())});
    if (!values.empty()) means.push_back(summary.recordings.back().value);
  }
  summary.left_out.assign(left_out.begin(), left_out.end());
  summary.over_recordings = mean_interval(means);
  return summary;
}

PairedDifference compare(const MetricSummary& model, const MetricSummary& baseline, const std::string& name) {
  std::vector<double> differences, baseline_values;
  for (std::size_t i = 0; i < model.recordings.size(); ++i) {
    const double a = model.recordings[i].value, b = baseline.recordings[i].value;
    if (std::isnan(a) || std::isnan(b)) continue;
    differences.push_back(a - b);
    baseline_values.push_back(b);
  }
  PairedDifference result;
  result.metric = model.metric;
  result.baseline = name;
  result.difference = mean_interval(differences);
  result.relative_percent = 100 * result.difference.mean / std::abs(mean(baseline_values));
  result.p = signed_rank_test(differences).p;
  result.is_better = model.metric->better == Better::lower ? result.difference.high < 0 : result.difference.low > 0;
  return result;
}

std::vector<PairedDifference> compare_all(const std::vector<CandidateResult>& candidates) {
  std::vector<PairedDifference> differences;
  std::vector<double> p;
  for (std::size_t c = 1; c < candidates.size(); ++c) {
    if (candidates[c].is_bound) continue;
    for (std::size_t m = 0; m < candidates[c].metrics.size(); ++m) {
      differences.push_back(compare(candidates[0].metrics[m], candidates[c].metrics[m], candidates[c].name));
      p.push_back(differences.back().p);
    }
  }
  const auto corrected = adjust_holm(p);
  for (std::size_t i = 0; i < differences.size(); ++i) differences[i].p_holm = corrected[i];
  return differences;
}

}  // namespace
}  // namespace resynthesis_suite

Candidate recording_itself(const Dataset& dataset) {
  return {"recording", "the held-out clip itself: what the metrics say of a perfect copy",
          [&dataset](const Clip& clip) { return dataset.wave(clip); }, true};
}

ResynthesisResult run_resynthesis(const Dataset& dataset, const ResynthesisOptions& options,
                                  const std::vector<Candidate>& candidates) {
  const auto metrics = metrics_named(options.metrics);
  const auto clips = resynthesis_suite::choose_clips(dataset, options);
  ResynthesisResult result{.split = options.split,
                           .dataset = dataset.path().stem().string(),
                           .dataset_hash = dataset.content_hash(),
                           .split_hash = dataset.split_hash(),
                           .sample_rate_hz = dataset.sample_rate_hz(),
                           .n_clips = static_cast<int64_t>(clips.size())};
  std::vector<std::size_t> recording_of_clip;
  for (const auto& clip : clips) {
    const auto found = std::find(result.recordings.begin(), result.recordings.end(), clip.recording);
    recording_of_clip.push_back(static_cast<std::size_t>(found - result.recordings.begin()));
    if (found == result.recordings.end()) result.recordings.push_back(clip.recording);
    result.seconds += static_cast<double>(clip.length) / static_cast<double>(dataset.sample_rate_hz());
  }
  std::vector<resynthesis_suite::ClipScores> scores(candidates.size());
  int64_t done = 0;
  for (const auto& clip : clips) {
    const MeasuredWave reference(dataset.wave(clip), dataset.sample_rate_hz());
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      if (candidates[c].is_bound) {  // the reference itself: what was computed of it serves twice
        scores[c].values.push_back(measure(metrics, reference, reference));
        if (options.progress) options.progress(++done, result.n_clips * static_cast<int64_t>(candidates.size()));
        continue;
      }
      const auto start = std::chrono::steady_clock::now();
      const auto wave = candidates[c].make(clip);
      scores[c].seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      scores[c].values.push_back(measure(metrics, reference, MeasuredWave(wave, dataset.sample_rate_hz())));
      if (options.progress) options.progress(++done, result.n_clips * static_cast<int64_t>(candidates.size()));
    }
  }
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    CandidateResult row{candidates[c].name, candidates[c].summary, candidates[c].is_bound, {}, scores[c].seconds};
    for (std::size_t m = 0; m < metrics.size(); ++m) {
      row.metrics.push_back(
          resynthesis_suite::summarise(metrics[m], m, scores[c], recording_of_clip, result.recordings.size()));
    }
    result.candidates.push_back(std::move(row));
  }
  result.differences = resynthesis_suite::compare_all(result.candidates);
  return result;
}

}  // namespace melisma
