#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/audio/audio_file.h"
#include "data/audio/loudness.h"
#include "data/signal/features.h"
#include "data/signal/stft.h"
#include "infer/features/pitch.h"
#include "tools/actions/inspect_action.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::int64_t kBlockFrames = 1 << 20;  // spectra are made of such blocks: memory does not grow with length

// JSON has no infinities: silence has no level.
Json level(double value) { return std::isfinite(value) ? Json(value) : Json(); }

// Means over all frames that are not silent.
struct SpectrumMeans {
  double centroid = 0, bandwidth = 0, rolloff = 0, flatness = 0;
  std::int64_t frames = 0;

  void add(const at::Tensor& mono, std::int64_t rate_hz) {
    if (mono.size(0) < StftConfig{}.n_fft) return;
    const auto magnitudes = stft(mono, {.padding = Padding::none}).abs();
    const auto heard = magnitudes.sum(0) > 0;
    const auto sum_over_heard = [&](const at::Tensor& values) {
      return values.masked_select(heard).sum().item<double>();
    };
    centroid += sum_over_heard(spectral_centroid_hz(magnitudes, rate_hz));
    bandwidth += sum_over_heard(spectral_bandwidth_hz(magnitudes, rate_hz));
    rolloff += sum_over_heard(spectral_rolloff_hz(magnitudes, rate_hz));
    flatness += sum_over_heard(spectral_flatness(magnitudes));
    frames += heard.sum().item<std::int64_t>();
  }

  [[nodiscard]] Json json() const {
    if (frames == 0) return nullptr;
    const auto n = static_cast<double>(frames);
    return {{"centroid_hz", centroid / n},
            {"bandwidth_hz", bandwidth / n},
            {"rolloff_85_hz", rolloff / n},
            {"flatness", flatness / n}};
  }
};

Json pitch_of(const Waveform& mono) {
  const auto summary = summarise_pitch(extract_pitch(mono, PitchConfig{}));
  return {{"method", PitchConfig{}.method},
          {"voiced_share", summary.voiced_share},
          {"median_hz", summary.median_hz},
          {"low_hz", summary.low_hz},
          {"high_hz", summary.high_hz}};
}

}  // namespace

Json inspected_recording(const std::filesystem::path& path) {
  const c10::NoGradGuard no_grad;
  auto reader = AudioReader::open(path);
  const auto info = reader.info();
  LoudnessMeter meter(info.sample_rate_hz, info.n_channels);
  SpectrumMeans spectrum;
  Waveform mono{{}, 1, info.sample_rate_hz};
  std::int64_t n_bad = 0;
  for (;;) {
    const auto block = reader.read(kBlockFrames);
    if (block.n_frames() == 0) break;
    for (const float sample : block.samples) n_bad += std::isfinite(sample) ? 0 : 1;
    if (n_bad > 0) continue;
    meter.add(block);
    const auto mixed = mixed_to_mono(block).samples;
    spectrum.add(at::from_blob(const_cast<float*>(mixed.data()), {std::ssize(mixed)}), info.sample_rate_hz);
    mono.samples.insert(mono.samples.end(), mixed.begin(), mixed.end());
  }
  if (n_bad > 0) {
    fail(ErrorKind::data, "'{}' holds {} samples that are not finite; repair or re-export it", path.string(), n_bad);
  }
  if (mono.samples.empty()) fail(ErrorKind::data, "'{}' holds no samples", path.string());
  return {{"what", "recording"},
          {"path", path.string()},
          {"encoding", info.encoding},
          {"sample_rate_hz", info.sample_rate_hz},
          {"channels", info.n_channels},
          {"frames", mono.n_frames()},
          {"seconds", static_cast<double>(mono.n_frames()) / static_cast<double>(info.sample_rate_hz)},
          {"loudness",
           {{"integrated_lufs", level(meter.integrated_lufs())},
            {"range_lu", level(meter.range_lu())},
            {"max_momentary_lufs", level(meter.max_momentary_lufs())},
            {"max_short_term_lufs", level(meter.max_short_term_lufs())},
            {"true_peak_db", level(meter.true_peak_db())},
            {"sample_peak_db", level(meter.sample_peak_db())}}},
          {"spectrum", spectrum.json()},
          {"pitch", pitch_of(mono)}};
}

}  // namespace melisma
