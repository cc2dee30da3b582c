// The `cepstral` method: cepstra of a smoothed mel spectrum, level and loudness taken out, normalised, with
// derivatives.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/signal/cepstrum.h"
#include "data/signal/mel.h"
#include "data/signal/thread_limit.h"
#include "infer/features/content.h"
#include "infer/features/short_spectra.h"
#include "infer/features/vocal_tract.h"
#include "tools/base/error.h"

namespace melisma {
namespace cepstral_detail {
namespace {

constexpr std::int64_t kChunkFrames = 256;
constexpr double kTopHz = 6800;              // so that the shortest vocal tract stays below 8 kHz nearly everywhere
constexpr float kFloor = 1e-4F;              // of a band's power against the loudest frame: 40 dB below it ...
constexpr float kLowestFloor = 1e-10F;       // ... but not lower than this
constexpr float kLowest = -4, kHighest = 4;  // normalised values are kept between these
constexpr double kDecay = 5;                 // column i is weighted by 1 / (1 + i/kDecay): see README

// The mel bank [bands, bins] for spectra whose frequencies are `warp` times those of an average speaker.
at::Tensor warped_bank(const CepstralSettings& settings, double warp) {
  const auto bank = mel_filterbank({.sample_rate_hz = kFeatureRateHz,
                                    .n_fft = kShortTransform,
                                    .n_mels = settings.bands,
                                    .fmin = 60,
                                    .fmax = kTopHz,
                                    .htk = true},
                                   at::kFloat);
  const auto bins = bank.size(1);
  auto warped = at::zeros_like(bank);
  for (std::int64_t k = 0; k < bins; ++k) {
    const auto place = std::min(static_cast<double>(k) * warp, static_cast<double>(bins - 1));
    const auto below = std::min(static_cast<std::int64_t>(place), bins - 2);
    const auto share = place - static_cast<double>(below);
    warped.select(1, below).add_(bank.select(1, k), 1 - share);
    warped.select(1, below + 1).add_(bank.select(1, k), share);
  }
  return warped;
}

// Band powers [count][bands] -> out [count][1 + coefficients]: ln of the mean power, cepstra 1 ... of powers not below
// the floor.
void cepstra_of(float* bands, const CepstralSettings& settings, std::int64_t count, float floor, float* out) {
  const c10::NoGradGuard no_grad;
  const auto powers = at::from_blob(bands, {count, settings.bands}, at::kFloat).clamp_min(floor);
  const auto level = powers.mean(1, true).log();                                           // [count, 1]
  const auto cepstra = mfcc(powers.log().t(), settings.coefficients + 1).slice(0, 1).t();  // [count, n]
  const auto rows = at::cat({level, cepstra}, 1).contiguous();
  std::copy_n(rows.data_ptr<float>(), rows.numel(), out);
}

FeatureMatrix raw_features(std::span<const float> wave_16k, const CepstralSettings& settings, int threads) {
  if (settings.coefficients >= settings.bands) {
    fail(ErrorKind::config, "content: {} coefficients of {} mel bands; need fewer coefficients than bands",
         settings.coefficients, settings.bands);
  }
  FeatureMatrix raw{.n_frames = static_cast<std::int64_t>(wave_16k.size()) / kFeatureHopSamples,
                    .width = 1 + settings.coefficients};
  raw.values.resize(static_cast<std::size_t>(raw.n_frames * raw.width));
  std::vector<float> bands(static_cast<std::size_t>(raw.n_frames * settings.bands));
  const auto n_chunks = (raw.n_frames + kChunkFrames - 1) / kChunkFrames;
  const auto frames_of = [&](std::int64_t chunk) {
    return std::min(kChunkFrames, raw.n_frames - chunk * kChunkFrames);
  };
  const ThreadLimit limit(threads);
  const auto bank = warped_bank(settings, settings.tract_normalisation ? vocal_tract_warp(wave_16k, threads) : 1.0);
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk) {
    const auto first = chunk * kChunkFrames;
    const c10::NoGradGuard no_grad;                                                              // is a thread's own
    const auto powers = at::matmul(short_spectra(wave_16k, first, frames_of(chunk)), bank.t());  // [count, bands]
    std::copy_n(powers.data_ptr<float>(), powers.numel(), bands.data() + first * settings.bands);
  }
  float loudest = 0;
  for (auto frame = bands.begin(); frame != bands.end(); frame += settings.bands) {
    loudest =
        std::max(loudest, std::accumulate(frame, frame + settings.bands, 0.0F) / static_cast<float>(settings.bands));
  }
  const auto floor = std::max(kLowestFloor, kFloor * loudest);
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk) {
    const auto first = chunk * kChunkFrames;
    cepstra_of(bands.data() + first * settings.bands, settings, frames_of(chunk), floor,
               raw.values.data() + first * raw.width);
  }
  return raw;
}

}  // namespace
}  // namespace cepstral_detail

std::int64_t cepstral_content_width(const ContentConfig& config) {
  return (1 + config.cepstral.coefficients) * (config.cepstral.delta_frames > 0 ? 2 : 1);
}

std::vector<FeatureMatrix> raw_cepstral_content(ContentClips clips, const ContentConfig& config, int threads) {
  std::vector<FeatureMatrix> raw;
  for (const auto& clip : clips) raw.push_back(cepstral_detail::raw_features(clip, config.cepstral, threads));
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
    const auto weight = 1 / (1 + static_cast<double>(column) / kDecay);
    values.select(1, column).sub_(statistics.mean(column)).mul_(scale).clamp_(kLowest, kHighest).mul_(weight);
  }
  if (config.cepstral.delta_frames > 0) {
    const auto width = config.cepstral.delta_frames;
    const auto slopes = delta(values.t(), width).t() * static_cast<double>(width / 2);
    values = at::cat({values, slopes}, 1);
  }
  values = values.contiguous();
  features.values.assign(values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
  return features;
}

}  // namespace melisma
