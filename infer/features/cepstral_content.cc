// The `cepstral` method: cepstra of a smoothed mel spectrum, level and loudness taken out, normalised, with
// derivatives.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/signal/cepstrum.h"
#include "data/signal/mel.h"
#include "infer/features/content.h"
#include "infer/features/pitch.h"
#include "tools/base/error.h"

namespace melisma {
namespace cepstral_detail {
namespace {

constexpr std::int64_t kWindow = 400, kTransform = 512;  // 25 ms at 16 kHz
constexpr std::int64_t kChunkFrames = 256;
constexpr float kFloor = 1e-5F;              // of a band power against the loudest frame: 50 dB below it ...
constexpr float kLowestFloor = 1e-10F;       // ... but not lower than this
constexpr float kLowest = -4, kHighest = 4;  // normalised values are kept between these

MelConfig bank_of(const ContentConfig& config) {
  return {.sample_rate_hz = kFeatureRateHz,
          .n_fft = kTransform,
          .n_mels = config.bands,
          .fmin = 60,
          .fmax = 7600,
          .htk = true,
          .slaney_norm = true};
}

// Frames [first, first + count) of the wave -> powers of the mel bands, out [count][bands]. Samples that are no numbers
// count as silence.
void band_powers(std::span<const float> wave, const ContentConfig& config, std::int64_t first, std::int64_t count,
                 float* out) {
  const c10::NoGradGuard no_grad;
  const auto n = static_cast<std::int64_t>(wave.size());
  auto piece = at::zeros({(count - 1) * kFeatureHopSamples + kTransform}, at::kFloat);
  const auto offset = first * kFeatureHopSamples - (kTransform - kFeatureHopSamples) / 2;
  auto* x = piece.data_ptr<float>();
  for (auto k = std::max<std::int64_t>(0, offset); k < std::min(n, offset + piece.size(0)); ++k) {
    const auto sample = wave[static_cast<std::size_t>(k)];
    x[k - offset] = std::isfinite(sample) ? sample : 0;
  }
  const StftConfig transform{
      .n_fft = kTransform, .hop = kFeatureHopSamples, .window = kWindow, .padding = Padding::none};
  const auto bands = to_mel(power(stft(piece, transform)), bank_of(config)).t().contiguous();  // [count, bands]
  std::copy_n(bands.data_ptr<float>(), bands.numel(), out);
}

// Band powers [count][bands] -> out [count][1 + coefficients]: ln of the mean power, cepstra 1 ... of powers not below
// the floor.
void cepstra_of(float* bands, const ContentConfig& config, std::int64_t count, float floor, float* out) {
  const c10::NoGradGuard no_grad;
  const auto powers = at::from_blob(bands, {count, config.bands}, at::kFloat).clamp_min(floor);
  const auto level = powers.mean(1, true).log();                                         // [count, 1]
  const auto cepstra = mfcc(powers.log().t(), config.coefficients + 1).slice(0, 1).t();  // [count, n]
  const auto rows = at::cat({level, cepstra}, 1).contiguous();
  std::copy_n(rows.data_ptr<float>(), rows.numel(), out);
}

// Limits OpenMP, and with it LibTorch, on the calling thread.
class ThreadLimit {
 public:
  explicit ThreadLimit(int threads) : before_(omp_get_max_threads()) {
    if (threads > 0) omp_set_num_threads(threads);
  }
  ~ThreadLimit() { omp_set_num_threads(before_); }
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  int before_;
};

}  // namespace
}  // namespace cepstral_detail

std::int64_t cepstral_content_width(const ContentConfig& config) {
  return (1 + config.coefficients) * (config.delta_frames > 0 ? 2 : 1);
}

FeatureMatrix raw_cepstral_content(std::span<const float> wave_16k, const ContentConfig& config, int threads) {
  using namespace cepstral_detail;
  if (config.coefficients >= config.bands) {
    fail(ErrorKind::config, "content: {} coefficients of {} mel bands; need fewer coefficients than bands",
         config.coefficients, config.bands);
  }
  FeatureMatrix raw{.n_frames = static_cast<std::int64_t>(wave_16k.size()) / kFeatureHopSamples,
                    .width = 1 + config.coefficients};
  raw.values.resize(static_cast<std::size_t>(raw.n_frames * raw.width));
  std::vector<float> bands(static_cast<std::size_t>(raw.n_frames * config.bands));
  const auto n_chunks = (raw.n_frames + kChunkFrames - 1) / kChunkFrames;
  const auto frames_of = [&](std::int64_t chunk) {
    return std::min(kChunkFrames, raw.n_frames - chunk * kChunkFrames);
  };
  const ThreadLimit limit(threads);
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk) {
    const auto first = chunk * kChunkFrames;
    band_powers(wave_16k, config, first, frames_of(chunk), bands.data() + first * config.bands);
  }
  float loudest = 0;
  for (auto frame = bands.begin(); frame != bands.end(); frame += config.bands) {
    loudest = std::max(loudest, std::accumulate(frame, frame + config.bands, 0.0F) / static_cast<float>(config.bands));
  }
  const auto floor = std::max(kLowestFloor, kFloor * loudest);
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk) {
    const auto first = chunk * kChunkFrames;
    cepstra_of(bands.data() + first * config.bands, config, frames_of(chunk), floor,
               raw.values.data() + first * raw.width);
  }
  return raw;
}

FeatureMatrix normalise_cepstral_content(const FeatureMatrix& raw, const ContentStatistics& statistics,
                                         const ContentConfig& config) {
  using namespace cepstral_detail;
  FeatureMatrix features{.n_frames = raw.n_frames, .width = cepstral_content_width(config)};
  if (raw.n_frames == 0) return features;
  const c10::NoGradGuard no_grad;
  auto values = at::from_blob(const_cast<float*>(raw.values.data()), {raw.n_frames, raw.width}, at::kFloat).clone();
  for (std::int64_t column = 0; column < raw.width; ++column) {
    const auto scale = 1 / std::max(statistics.deviation(column), 1e-3);
    values.select(1, column).sub_(statistics.mean(column)).mul_(scale);
  }
  values.clamp_(kLowest, kHighest);
  if (config.delta_frames > 0) {
    const auto slopes = delta(values.t(), config.delta_frames).t() * static_cast<double>(config.delta_frames / 2);
    values = at::cat({values, slopes}, 1);
  }
  values = values.contiguous();
  features.values.assign(values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
  return features;
}

}  // namespace melisma
