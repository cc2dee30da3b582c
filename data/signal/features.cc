#include "data/signal/features.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/signal/mel.h"
#include "data/signal/stft.h"

namespace melisma {
namespace features_detail {
namespace {

constexpr std::int64_t kContrastBands = 6;
constexpr double kContrastLowestHz = 200, kContrastShare = 0.02;

// Hz of each bin as a column [bins, 1].
at::Tensor bin_hz(const at::Tensor& magnitudes, std::int64_t sample_rate_hz) {
  const auto bins = magnitudes.size(-2);
  const auto step = static_cast<double>(sample_rate_hz) / static_cast<double>(2 * (bins - 1));
  return (at::arange(bins, magnitudes.options()) * step).unsqueeze(1);
}

// Magnitudes that add up to 1 in each frame, or to 0 in silence.
at::Tensor shares(const at::Tensor& magnitudes) {
  const auto sum = magnitudes.sum(-2, true);
  return magnitudes / at::where(sum > 0, sum, at::ones_like(sum));
}

struct BinRange {
  std::int64_t first = 0, last = 0;  // [first, last)
  std::int64_t n_extreme = 1;        // bins that make the peak and the valley
};

// Octave bands with one bin of overlap below; the last one takes everything to the top.
std::vector<BinRange> contrast_bands(std::int64_t bins, std::int64_t sample_rate_hz) {
  const auto step = static_cast<double>(sample_rate_hz) / static_cast<double>(2 * (bins - 1));
  std::vector<BinRange> bands;
  for (std::int64_t k = 0; k <= kContrastBands; ++k) {
    const auto low = k == 0 ? 0.0 : kContrastLowestHz * std::exp2(static_cast<double>(k - 1));
    const auto high = kContrastLowestHz * std::exp2(static_cast<double>(k));
    auto first = std::min(static_cast<std::int64_t>(std::ceil(low / step)), bins);
    auto last = std::min(static_cast<std::int64_t>(std::floor(high / step)) + 1, bins);
    if (k > 0) first = std::max<std::int64_t>(first - 1, 0);
    if (k == kContrastBands) last = bins;
    const auto count = std::max<std::int64_t>(last - first, 1);
    const auto extreme = static_cast<std::int64_t>(std::nearbyint(kContrastShare * static_cast<double>(count)));
    if (k < kContrastBands) --last;  // the neighbour above has this bin
    first = std::min(first, bins - 1);
    bands.push_back({first, std::max(last, first + 1), std::max<std::int64_t>(extreme, 1)});
  }
  return bands;
}

}  // namespace
}  // namespace features_detail

at::Tensor frame_rms(const at::Tensor& wave, std::int64_t frame, std::int64_t hop) {
  return at::constant_pad_nd(wave, {frame / 2, frame / 2}).unfold(-1, frame, hop).square().mean(-1).sqrt();
}

at::Tensor zero_crossing_rate(const at::Tensor& wave, std::int64_t frame, std::int64_t hop) {
  const auto rows = wave.reshape({-1, 1, wave.size(-1)});
  auto sizes = wave.sizes().vec();
  sizes.back() += frame / 2 * 2;
  const auto padded = at::replication_pad1d(rows, {frame / 2, frame / 2}).view(sizes);
  const auto negative = (padded < -1e-10).unfold(-1, frame, hop);  // [..., frames, frame]
  const auto changes = negative.slice(-1, 1).ne(negative.slice(-1, 0, frame - 1));
  return changes.sum(-1).to(wave.scalar_type()) / static_cast<double>(frame);
}

at::Tensor spectral_centroid_hz(const at::Tensor& magnitudes, std::int64_t sample_rate_hz) {
  return (features_detail::shares(magnitudes) * features_detail::bin_hz(magnitudes, sample_rate_hz)).sum(-2);
}

at::Tensor spectral_bandwidth_hz(const at::Tensor& magnitudes, std::int64_t sample_rate_hz) {
  const auto centre = spectral_centroid_hz(magnitudes, sample_rate_hz).unsqueeze(-2);
  const auto distance = features_detail::bin_hz(magnitudes, sample_rate_hz) - centre;
  return (features_detail::shares(magnitudes) * distance.square()).sum(-2).sqrt();
}

at::Tensor spectral_rolloff_hz(const at::Tensor& magnitudes, std::int64_t sample_rate_hz, double share) {
  const auto below = magnitudes.cumsum(-2);
  const auto threshold = below.select(-2, below.size(-2) - 1).unsqueeze(-2) * share;
  const auto bin = (below < threshold).sum(-2);
  const auto hz = features_detail::bin_hz(magnitudes, sample_rate_hz).squeeze(1);
  return hz.index({bin});
}

at::Tensor spectral_flatness(const at::Tensor& magnitudes) {
  const auto powers = magnitudes.square().clamp_min(1e-10);
  return powers.log().mean(-2).exp() / powers.mean(-2);
}

at::Tensor spectral_contrast_db(const at::Tensor& magnitudes, std::int64_t sample_rate_hz) {
  std::vector<at::Tensor> peaks, valleys;
  for (const auto& band : features_detail::contrast_bands(magnitudes.size(-2), sample_rate_hz)) {
    const auto sorted = std::get<0>(magnitudes.slice(-2, band.first, band.last).sort(-2));
    const auto n = std::min(band.n_extreme, sorted.size(-2));
    valleys.push_back(sorted.slice(-2, 0, n).mean(-2));
    peaks.push_back(sorted.slice(-2, sorted.size(-2) - n).mean(-2));
  }
  return power_to_db(at::stack(peaks, -2)) - power_to_db(at::stack(valleys, -2));
}

at::Tensor onset_strength(const at::Tensor& wave, std::int64_t sample_rate_hz, std::int64_t hop) {
  constexpr std::int64_t kTransform = 2048;
  const StftConfig transform{.n_fft = kTransform, .hop = hop, .window = kTransform, .padding = Padding::centre_zeros};
  const MelConfig bank{.sample_rate_hz = sample_rate_hz, .n_fft = kTransform, .n_mels = 128};
  const auto db = power_to_db(to_mel(power(stft(wave, transform)), bank));  // [..., 128, frames]
  const auto frames = db.size(-1);
  const auto rise = (db.slice(-1, 1) - db.slice(-1, 0, frames - 1)).clamp_min(0).mean(-2);
  return at::constant_pad_nd(rise, {1 + kTransform / (2 * hop), 0}).slice(-1, 0, frames);
}

}  // namespace melisma
