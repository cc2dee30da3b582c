#include "tools/actions/extract_quality.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "eval/metrics/spectral.h"
#include "infer/convert/voice.h"
#include "models/weights/quantize.h"
#include "tools/base/error.h"

namespace melisma {
namespace extract_quality_detail {
namespace {

using QualityJson = nlohmann::ordered_json;

// JSON has no infinity: a tensor that came through unchanged has null.
QualityJson decibels(double value) {
  return std::isfinite(value) ? QualityJson(std::round(value * 100) / 100) : QualityJson();
}

at::Tensor tensor_of(const std::vector<float>& samples) {
  return at::from_blob(const_cast<float*>(samples.data()), {static_cast<std::int64_t>(samples.size())}, at::kFloat);
}

// Up to `count` clips, spread evenly.
std::vector<Clip> some_of(std::vector<Clip> clips, std::int64_t count) {
  const auto total = static_cast<std::int64_t>(clips.size());
  if (count == 0 || total <= count) return clips;
  std::vector<Clip> chosen;
  for (std::int64_t i = 0; i < count; ++i) chosen.push_back(clips[static_cast<std::size_t>(i * total / count)]);
  return chosen;
}

// A voice and the time it has taken so far.
class TimedVoice {
 public:
  explicit TimedVoice(const ModelFile& file) : voice_(Voice::load(file)) {}
  double seconds = 0;
  std::vector<float> speak(const Dataset& dataset, const Clip& clip) {
    const auto start = std::chrono::steady_clock::now();
    auto samples = voice_.resynthesize(dataset, clip, {.noise_seed = 1});
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return samples;
  }
  [[nodiscard]] std::int64_t sample_rate_hz() const { return voice_.sample_rate_hz(); }

 private:
  Voice voice_;
};

}  // namespace
}  // namespace extract_quality_detail

nlohmann::ordered_json layer_report(const VoiceExport& exported, std::string_view type) {
  using namespace extract_quality_detail;
  std::int64_t stored = 0, plain = 0;
  for (const auto& tensor : exported.tensors) {
    std::int64_t numel = 1;
    for (const auto size : tensor.shape) numel *= size;
    stored += numel * static_cast<std::int64_t>(c10::elementSize(tensor.type));
    if (!tensor.name.ends_with(kScaleSuffix)) plain += numel * static_cast<std::int64_t>(sizeof(float));
  }
  QualityJson report{{"dtype", type}, {"tensor_bytes", stored}, {"tensor_bytes_fp32", plain}};
  auto layers = QualityJson::array();
  const LayerQuality* worst = nullptr;
  for (const auto& layer : exported.layers) {
    QualityJson row{{"name", layer.name}, {"stored_as", layer.stored_as}, {"snr_db", decibels(layer.snr_db)}};
    if (!layer.reason.empty()) row["reason"] = layer.reason;
    layers.push_back(std::move(row));
    if (worst == nullptr || layer.snr_db < worst->snr_db) worst = &layer;
  }
  if (worst != nullptr) report["worst_layer"] = {{"name", worst->name}, {"snr_db", decibels(worst->snr_db)}};
  report["layers"] = std::move(layers);
  return report;
}

nlohmann::ordered_json held_out_report(const ModelFile& reference, const ModelFile& exported, const Dataset& dataset,
                                       std::int64_t n_clips) {
  using namespace extract_quality_detail;
  const c10::NoGradGuard no_grad;
  const auto clips = some_of(dataset.clips_of(Split::validation), n_clips);
  if (clips.empty()) fail(ErrorKind::data, "'{}' has no validation clips to listen to", dataset.path().string());
  TimedVoice plain(reference), stored(exported);
  const auto rate_hz = plain.sample_rate_hz();
  if (dataset.sample_rate_hz() != rate_hz) {
    fail(ErrorKind::data, "'{}' is at {} Hz, the voice speaks at {} Hz; name a dataset at the voice's rate",
         dataset.path().string(), dataset.sample_rate_hz(), rate_hz);
  }
  for (auto* voice : {&plain, &stored}) {  // what the first call sets up belongs to neither's speed
    (void)voice->speak(dataset, clips.front());
    voice->seconds = 0;
  }
  double snr = 0, to_plain = 0, to_recording = 0, plain_to_recording = 0, seconds = 0;
  for (const auto& clip : clips) {
    const auto expected = plain.speak(dataset, clip), got = stored.speak(dataset, clip), real = dataset.wave(clip);
    const auto expected_wave = tensor_of(expected), got_wave = tensor_of(got), real_wave = tensor_of(real);
    snr += std::min(snr_db(expected_wave, got_wave), 200.0);
    to_plain += log_mel_distance(got_wave, expected_wave, rate_hz);
    to_recording += log_mel_distance(got_wave, real_wave, rate_hz);
    plain_to_recording += log_mel_distance(expected_wave, real_wave, rate_hz);
    seconds += static_cast<double>(clip.length) / static_cast<double>(rate_hz);
  }
  const auto n = static_cast<double>(clips.size());
  return {{"dataset", dataset.path().stem().string()},
          {"split_hash", dataset.split_hash()},
          {"clips", clips.size()},
          {"seconds", seconds},
          {"waveform_snr_db", decibels(snr / n)},
          {"mel_distance_to_fp32", to_plain / n},
          {"mel_distance_to_recording", to_recording / n},
          {"mel_distance_to_recording_fp32", plain_to_recording / n},
          {"realtime_factor", seconds / stored.seconds},
          {"realtime_factor_fp32", seconds / plain.seconds}};
}

}  // namespace melisma
