#include "eval/metrics/metrics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "data/audio/loudness.h"
#include "data/audio/resample.h"
#include "data/signal/stft_loss.h"
#include "eval/metrics/intelligibility.h"
#include "eval/metrics/pitch_metrics.h"
#include "eval/metrics/ratios.h"
#include "eval/metrics/separation.h"
#include "eval/metrics/spectral.h"
#include "infer/features/pitch.h"
#include "tools/base/table.h"

namespace melisma {

struct MeasuredWave::Facets {
  std::vector<float> samples;
  int64_t sample_rate_hz = 0;
  std::optional<std::vector<float>> at_16k;
  std::optional<std::vector<double>> f0_hz;
  std::optional<Cepstra> cepstra;
  std::optional<double> lufs;
};

MeasuredWave::MeasuredWave(std::span<const float> samples, int64_t sample_rate_hz)
    : facets_(std::make_unique<Facets>()) {
  facets_->samples.assign(samples.begin(), samples.end());
  facets_->sample_rate_hz = sample_rate_hz;
}
MeasuredWave::MeasuredWave(MeasuredWave&&) noexcept = default;
MeasuredWave::~MeasuredWave() = default;

int64_t MeasuredWave::sample_rate_hz() const { return facets_->sample_rate_hz; }
const std::vector<float>& MeasuredWave::samples() const { return facets_->samples; }

bool MeasuredWave::is_silent() const {
  return std::none_of(samples().begin(), samples().end(), [](float x) { return std::abs(x) > 1e-6F; });
}

bool MeasuredWave::is_finite() const {
  return std::all_of(samples().begin(), samples().end(), [](float x) { return std::isfinite(x); });
}

const std::vector<float>& MeasuredWave::at_16k() const {
  if (!facets_->at_16k) {
    facets_->at_16k = resample(std::span<const float>(samples()), sample_rate_hz(), kFeatureRateHz);
  }
  return *facets_->at_16k;
}

const std::vector<double>& MeasuredWave::f0_hz() const {
  if (!facets_->f0_hz) {
    const auto f0 = extract_pitch(std::span<const float>(at_16k()), PitchConfig{});
    facets_->f0_hz.emplace(f0.begin(), f0.end());
  }
  return *facets_->f0_hz;
}

const Cepstra& MeasuredWave::cepstra() const {
  if (!facets_->cepstra) {
    const std::vector<double> wave(at_16k().begin(), at_16k().end());
    facets_->cepstra = mel_cepstra(wave);
  }
  return *facets_->cepstra;
}

double MeasuredWave::integrated_lufs() const {
  if (!facets_->lufs) {
    LoudnessMeter meter(sample_rate_hz(), 1, {.true_peak = false, .maxima = false});
    meter.add({.samples = samples(), .n_channels = 1, .sample_rate_hz = sample_rate_hz()});
    facets_->lufs = meter.integrated_lufs();
  }
  return *facets_->lufs;
}

namespace metric_table {
namespace {

constexpr double kLeastSeconds = .06;  // room for the longest window's mirrored ends

at::Tensor tensor_of(const MeasuredWave& wave) {
  return at::from_blob(const_cast<float*>(wave.samples().data()), {static_cast<int64_t>(wave.samples().size())},
                       at::TensorOptions().dtype(at::kFloat))
      .to(at::kDouble);
}

std::vector<double> doubles_of(const MeasuredWave& wave) { return {wave.samples().begin(), wave.samples().end()}; }

MetricValue number_or(double value, const char* why_none) {
  if (std::isfinite(value)) return {value, {}};
  return {std::numeric_limits<double>::quiet_NaN(), why_none};
}

MetricValue ratio_or(double decibels) {
  return number_or(decibels, decibels > 0 ? "identical: no error to compare with" : "silent estimate");
}

PitchComparison pitch_of(const MeasuredWave& reference, const MeasuredWave& estimate) {
  return compare_pitch(reference.f0_hz(), estimate.f0_hz());
}

Intelligibility intelligibility_of(const MeasuredWave& reference, const MeasuredWave& estimate) {
  return measure_intelligibility(doubles_of(reference), doubles_of(estimate), reference.sample_rate_hz());
}

// Why no metric can be measured on this pair; empty if they can.
std::string obstacle(const MeasuredWave& reference, const MeasuredWave& estimate) {
  const auto seconds = static_cast<double>(std::min(reference.samples().size(), estimate.samples().size())) /
                       static_cast<double>(reference.sample_rate_hz());
  if (seconds < kLeastSeconds) return "shorter than 60 ms";
  if (!reference.is_finite() || !estimate.is_finite()) return "samples that are not finite";
  return reference.is_silent() ? "silent reference" : "";
}

}  // namespace
}  // namespace metric_table

MetricValue measure_mel_distance(const MeasuredWave& reference, const MeasuredWave& estimate) {
  return {log_mel_distance(metric_table::tensor_of(estimate), metric_table::tensor_of(reference),
                           reference.sample_rate_hz()),
          {}};
}

MetricValue measure_mr_stft(const MeasuredWave& reference, const MeasuredWave& estimate) {
  const auto loss = multi_resolution_stft_loss(metric_table::tensor_of(estimate), metric_table::tensor_of(reference),
                                               multi_resolution_configs());
  return {loss.item<double>(), {}};
}

MetricValue measure_mr_stft_music(const MeasuredWave& reference, const MeasuredWave& estimate) {
  const auto configs = music_stft_configs(reference.sample_rate_hz());
  const auto longest = configs.back().window;
  if (static_cast<int64_t>(reference.samples().size()) < longest) return {.why_none = "shorter than 8192 samples"};
  const auto loss =
      multi_resolution_stft_loss(metric_table::tensor_of(estimate), metric_table::tensor_of(reference), configs);
  return {loss.item<double>(), {}};
}

MetricValue measure_lsd(const MeasuredWave& reference, const MeasuredWave& estimate) {
  return {log_spectral_distance_db(metric_table::tensor_of(estimate), metric_table::tensor_of(reference)), {}};
}

MetricValue measure_mcd(const MeasuredWave& reference, const MeasuredWave& estimate) {
  return {mel_cepstral_distortion_db(reference.cepstra(), estimate.cepstra(), true), {}};
}

MetricValue measure_f0_rmse(const MeasuredWave& reference, const MeasuredWave& estimate) {
  return metric_table::number_or(metric_table::pitch_of(reference, estimate).rmse_cents, "no frame voiced in both");
}

MetricValue measure_voicing_error(const MeasuredWave& reference, const MeasuredWave& estimate) {
  return metric_table::number_or(metric_table::pitch_of(reference, estimate).vuv_error_percent, "no frame");
}

MetricValue measure_gross_pitch_error(const MeasuredWave& reference, const MeasuredWave& estimate) {
  const double share = metric_table::pitch_of(reference, estimate).gross_pitch_error_20;
  return metric_table::number_or(100 * share, "no frame voiced in both");
}

MetricValue measure_loudness_difference(const MeasuredWave& reference, const MeasuredWave& estimate) {
  const double difference = std::abs(estimate.integrated_lufs() - reference.integrated_lufs());
  return metric_table::number_or(difference, "shorter than 400 ms or below the loudness gate");
}

MetricValue measure_stoi(const MeasuredWave& reference, const MeasuredWave& estimate) {
  return metric_table::number_or(metric_table::intelligibility_of(reference, estimate).stoi, "under 0.4 s of speech");
}

MetricValue measure_estoi(const MeasuredWave& reference, const MeasuredWave& estimate) {
  return metric_table::number_or(metric_table::intelligibility_of(reference, estimate).estoi, "under 0.4 s of speech");
}

MetricValue measure_si_sdr(const MeasuredWave& reference, const MeasuredWave& estimate) {
  return metric_table::ratio_or(si_sdr_db(metric_table::doubles_of(reference), metric_table::doubles_of(estimate)));
}

MetricValue measure_sd_sdr(const MeasuredWave& reference, const MeasuredWave& estimate) {
  return metric_table::ratio_or(sd_sdr_db(metric_table::doubles_of(reference), metric_table::doubles_of(estimate)));
}

MetricValue measure_bss_sdr(const MeasuredWave& reference, const MeasuredWave& estimate) {
  return metric_table::ratio_or(filtered_sdr_db(metric_table::tensor_of(reference), metric_table::tensor_of(estimate)));
}

MetricValue measure_snr(const MeasuredWave& reference, const MeasuredWave& estimate) {
  return metric_table::number_or(sdr_db(metric_table::doubles_of(reference), metric_table::doubles_of(estimate)),
                                 "identical: no error to compare with");
}

std::vector<const Metric*> metrics_named(std::span<const std::string> names) {
  for (const auto& name : names) (void)find_row(kMetrics, name, "metric", ErrorKind::usage);
  std::vector<const Metric*> chosen;
  for (const auto& metric : kMetrics) {
    const bool is_named = std::find(names.begin(), names.end(), metric.name) != names.end();
    if (names.empty() ? metric.is_default : is_named) chosen.push_back(&metric);
  }
  return chosen;
}

std::vector<MetricValue> measure(std::span<const Metric* const> metrics, const MeasuredWave& reference,
                                 const MeasuredWave& estimate) {
  const auto why_none = metric_table::obstacle(reference, estimate);
  if (!why_none.empty()) return std::vector<MetricValue>(metrics.size(), MetricValue{.why_none = why_none});
  const auto n = std::min(reference.samples().size(), estimate.samples().size());
  const auto cut = [n](const MeasuredWave& wave) {
    return MeasuredWave(std::span(wave.samples()).first(n), wave.sample_rate_hz());
  };
  std::optional<MeasuredWave> shorter_reference, shorter_estimate;
  if (reference.samples().size() > n) shorter_reference.emplace(cut(reference));
  if (estimate.samples().size() > n) shorter_estimate.emplace(cut(estimate));
  std::vector<MetricValue> values;
  for (const auto* metric : metrics) {
    values.push_back(metric->function(shorter_reference ? *shorter_reference : reference,
                                      shorter_estimate ? *shorter_estimate : estimate));
  }
  return values;
}

}  // namespace melisma
