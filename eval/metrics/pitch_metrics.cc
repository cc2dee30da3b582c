#include "eval/metrics/pitch_metrics.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "eval/statistics/paired.h"
#include "eval/statistics/quantile.h"

namespace melisma {
namespace pitch_comparison {
namespace {

// Values of the frames voiced in both contours.
struct VoicedFrames {
  std::vector<double> reference_hz, estimate_hz, reference_log, estimate_log, cents;
};

double root_mean_square(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

// A difference in cents folded into one octave, [-600, 600].
double folded(double cents) { return cents - 1200 * std::floor(cents / 1200 + .5); }

void fill_errors(const VoicedFrames& voiced, PitchComparison& result) {
  std::vector<double> errors_hz, absolute;
  for (std::size_t i = 0; i < voiced.cents.size(); ++i) {
    errors_hz.push_back(voiced.estimate_hz[i] - voiced.reference_hz[i]);
    absolute.push_back(std::abs(voiced.cents[i]));
  }
  result.rmse_hz = root_mean_square(errors_hz);
  result.rmse_cents = root_mean_square(voiced.cents);
  result.mean_abs_cents = mean(absolute);
  result.bias_cents = mean(voiced.cents);
  result.pearson = pearson_correlation(voiced.reference_hz, voiced.estimate_hz).value;
  result.pearson_log = pearson_correlation(voiced.reference_log, voiced.estimate_log).value;
}

}  // namespace
}  // namespace pitch_comparison

PitchComparison compare_pitch(std::span<const double> reference_hz, std::span<const double> estimate_hz) {
  const auto n = std::min(reference_hz.size(), estimate_hz.size());
  PitchComparison result;
  result.n_frames = static_cast<int64_t>(n);
  pitch_comparison::VoicedFrames voiced;
  double gross = 0, right = 0, right_chroma = 0, right_unvoiced = 0, reference_voiced = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double r = reference_hz[i], e = estimate_hz[i];
    reference_voiced += r > 0;
    if (r > 0 && e > 0) {
      voiced.reference_hz.push_back(r);
      voiced.estimate_hz.push_back(e);
      voiced.reference_log.push_back(std::log2(r));
      voiced.estimate_log.push_back(std::log2(e));
      const double cents = 1200 * std::log2(e / r);
      voiced.cents.push_back(cents);
      gross += std::abs(e - r) > .2 * r;
      right += std::abs(cents) < 50;
      right_chroma += std::abs(pitch_comparison::folded(cents)) < 50;
    } else {
      result.voiced_to_unvoiced += r > 0;
      result.unvoiced_to_voiced += e > 0;
      right_unvoiced += r <= 0 && e <= 0;
    }
  }
  const auto frames = static_cast<double>(n), both = static_cast<double>(voiced.cents.size());
  const auto swapped = static_cast<double>(result.voiced_to_unvoiced + result.unvoiced_to_voiced);
  result.n_voiced_both = static_cast<int64_t>(voiced.cents.size());
  pitch_comparison::fill_errors(voiced, result);
  result.vuv_error_percent = 100 * swapped / frames;
  result.gross_pitch_error_20 = gross / both;
  result.f0_frame_error = (gross + swapped) / frames;
  result.voicing_recall = both / reference_voiced;
  result.voicing_false_alarm = static_cast<double>(result.unvoiced_to_voiced) / (frames - reference_voiced);
  result.raw_pitch_accuracy = right / reference_voiced;
  result.raw_chroma_accuracy = right_chroma / reference_voiced;
  result.overall_accuracy = (right + right_unvoiced) / frames;
  return result;
}

}  // namespace melisma
